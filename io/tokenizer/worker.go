package tokenizer

import (
	"fmt"
	"strings"
)

const (
	cachedLength  = 48      // words up to this many bytes are remembered: nearly all words of any text
	cachedWords   = 1 << 15 // a few megabytes at most
	keptCapacity  = 1 << 14 // larger buffers are given back after a text
	cutFromLength = 24      // shorter words are not worth the search for cuts
)

// A worker holds what one Encode needs besides the tokenizer; a pool of them makes the tokenizer safe for concurrent
// use without a lock. Short words come again and again, so it remembers their ids.
type worker struct {
	words   map[string][]uint32
	symbols []symbol
	heap    rankHeap
	ids     []uint32
	best    []bestPath
	spans   []span
	parts   [2][]part
	machine machine
	size    int    // bytes of the text
	costly  string // the pattern that took the most steps of it, most
	most    int
	err     error // the first that came up; what is encoded after it does not count
	dropped error // tells of the first character that was left out
}

func newWorker() *worker { return &worker{words: map[string][]uint32{}} }

// begin makes ready for a text of so many bytes.
func (w *worker) begin(size int) {
	w.size, w.err, w.dropped = size, nil, nil
	w.costly, w.most = "", 0
	w.machine.steps = stepsPerText + stepsPerByte*size
}

// taken is how many steps the text has taken.
func (w *worker) taken() int { return stepsPerText + stepsPerByte*w.size - w.machine.steps }

func (w *worker) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// How many bytes a word may have: joining it takes a hundred times its memory, cutting it twenty times.
const (
	maxJoined = 1 << 23
	maxCut    = 1 << 26
)

// bounded fails for a word that is longer than most.
func (w *worker) bounded(word string, most int) bool {
	if len(word) > most {
		w.fail(tooLong(word, most))
		return false
	}
	return true
}

func tooLong(word string, most int) error {
	return fmt.Errorf("the word that begins with %.40q has %d bytes, want at most %d", word, len(word), most)
}

// drop leaves out a character.
func (w *worker) drop(r rune) {
	if w.dropped == nil {
		w.dropped = noToken(r, "no unknown token either")
	}
}

func noToken(r rune, why string) error {
	return fmt.Errorf("the vocabulary has no token for the character %q (%U), and %s", r, r, why)
}

// How long a text may become on its way to the model. Unicode's forms make 11 bytes of one at most, and a space written
// as a visible character takes 3.
const (
	growthPerText = 1 << 10
	growthPerByte = 64
)

// fits tells whether so many bytes may be made of a text of before bytes, and fails if not.
func (w *worker) fits(step any, before, after int) bool {
	if limit := growthPerText + growthPerByte*before; after > limit {
		w.fail(fmt.Errorf("%s makes %d bytes of %d, want at most %d", stepName(step), after, before, limit))
		return false
	}
	return true
}

// stepName is the name of a normalizer or pre-tokenizer, which is that of its type.
func stepName(step any) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", step), "tokenizer.")
	return strings.ToUpper(name[:1]) + name[1:]
}

// remember appends the ids of word, from memory where possible, else as encode gives them.
func (w *worker) remember(dst []uint32, word string, encode func([]uint32, string, *worker) []uint32) []uint32 {
	if len(word) > cachedLength {
		return encode(dst, word, w)
	}
	if ids, ok := w.words[word]; ok {
		return append(dst, ids...)
	}
	before := len(dst)
	dst = encode(dst, word, w)
	if w.err != nil || w.dropped != nil {
		return dst
	}
	if len(w.words) >= cachedWords {
		clear(w.words)
	}
	// Clones, so that neither the text nor the result stays in memory.
	w.words[strings.Clone(word)] = append([]uint32(nil), dst[before:]...)
	return dst
}

// tidy lets go of the text just encoded.
func (w *worker) tidy() {
	w.symbols = reusable(w.symbols)
	w.heap = reusable(w.heap)
	w.ids = reusable(w.ids)
	w.best = reusable(w.best)
	w.spans = reusable(w.spans)
	w.machine.text, w.machine.stack = "", reusable(w.machine.stack)
	for i := range w.parts {
		clear(w.parts[i][:cap(w.parts[i])])
		w.parts[i] = reusable(w.parts[i])
	}
}

func reusable[S ~[]E, E any](s S) S {
	if cap(s) > keptCapacity {
		return nil
	}
	return s[:0]
}
