package corpus

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// LeastReread is the shortest context for which rows can be composed of passages.
const LeastReread = 32

// Reread makes a share of the rows, 0 to 1, repeat themselves: a row composed of passages replaces the window at that
// position. What is predicted better the second time can only have been remembered, so this trains the memory to remember,
// which ordinary text rarely requires.
//
// Which rows are composed, and of what, depends only on (seed, position), as for windows.
func (s *Sampler) Reread(share float64) error {
	if !(share >= 0 && share <= 1) {
		return fmt.Errorf("corpus: share of rows that are read again: got %v, want 0 to 1", share)
	}
	if share > 0 && s.time < LeastReread {
		return fmt.Errorf("corpus: got a context of %d, want %d or more for passages that are read again", s.time, LeastReread)
	}
	if share > 0 && s.rows != nil {
		return errors.New("corpus: got conversations, want text for passages that are read again")
	}
	s.reread = share
	return nil
}

// rereads reports whether the row at a position is composed. Multiples of the golden ratio, modulo 1, are evenly distributed
// over every range of positions without repeating, so that no window is replaced in every epoch.
func (s *Sampler) rereads(position uint64) bool {
	const golden = 0x9e3779b97f4a7c15 // (√5 − 1)/2 times 2⁶⁴
	return float64((position*golden+splitMix64(s.seed))>>11)*0x1p-53 < s.reread
}

// compose fills a row, and the token after it, with pieces. Of 20 pieces, 9 are a passage twice, 5 are a passage, a shorter
// one, and the first again, 3 are single random tokens, twice, which only a memory can predict, and 3 are a passage that is not
// repeated, so that a new passage is not taken for an old one. A passage is a sixteenth to half of a row long. The rest of the
// row is text.
func (s *Sampler) compose(row []uint32, position uint64) error {
	random := rand.New(rand.NewPCG(s.seed, position))
	length := func(most int) int { return s.time/16 + random.IntN(most-s.time/16+1) }
	for len(row) > s.time/8 {
		passage, between := row[:length(min(s.time/2, len(row)/2))], row[:0]
		next := row[len(passage):]
		var err error
		switch kind := random.IntN(20); {
		case kind < 3:
			err = s.scattered(passage, random)
		case kind < 6:
			if err := s.passage(passage, random); err != nil {
				return err
			}
			row = next
			continue
		default:
			err = s.passage(passage, random)
			if room := len(next) - len(passage); err == nil && kind < 11 && room >= s.time/16 {
				between = next[:length(min(s.time/4, room))]
				err = s.passage(between, random)
			}
		}
		if err != nil {
			return err
		}
		next = next[len(between):]
		copy(next, passage)
		row = next[len(passage):]
	}
	return s.passage(row, random)
}

// passage fills dst with text from a random place.
func (s *Sampler) passage(dst []uint32, random *rand.Rand) error {
	_, err := s.tokens.CopyTo(dst, random.IntN(s.tokens.Len()-len(dst)+1))
	return err
}

// scattered fills dst with tokens from random places, as frequent as in the text.
func (s *Sampler) scattered(dst []uint32, random *rand.Rand) error {
	for i := range dst {
		if err := s.passage(dst[i:i+1], random); err != nil {
			return err
		}
	}
	return nil
}
