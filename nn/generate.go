package nn

import (
	"cmp"
	"slices"

	"bitgpu/nn/op"
)

// snapshot is what a refused token is undone with.
type snapshot[T any] struct {
	state  *State[T]
	logits T // (B, V)
}

// makeSnapshots makes room, if there is none yet, for a snapshot before each batch of tokens in flight.
func (s *Session[T]) makeSnapshots(m op.Tensors[T], c Config) {
	for i := range s.saved {
		if s.saved[i].state == nil {
			s.saved[i] = snapshot[T]{newState(m, c, s.batch, false), m.New(op.F32, s.batch, c.Vocab)}
		}
	}
}

// Generate samples up to limit tokens per sequence and reads each into the memory. accept is called with one token per
// sequence (B), in order. When it returns false, those tokens are not read and generation ends, so the memory holds exactly
// the accepted tokens. A [NotFiniteError] also ends it, before a token is drawn from NaN or infinity.
func (s *Session[T]) Generate(limit int, p op.Sampling, accept func(ids []uint32) bool) error {
	if err := s.Start(p); err != nil {
		return err
	}
	return s.Continue(limit, accept)
}

// Continue continues Generate by the rules of the last Start. A token that was refused is offered again.
func (s *Session[T]) Continue(limit int, accept func(ids []uint32) bool) error {
	if s.dirty || s.ahead {
		s.writeRecent()
	}
	b := s.model.Backend
	limit = int(min(int64(limit), s.Left()))
	if b.Lookahead() > 1 {
		return s.generateAhead(limit, accept)
	}
	for range limit {
		if err := s.draw(); err != nil {
			return err
		}
		if more, err := s.offer(accept); !more {
			s.drawn, s.dirty = s.drawn-1, true
			return err
		}
		s.remember(s.row, 1)
		if err := s.run(s.step()); err != nil {
			return err
		}
	}
	return b.Flush()
}

// Start sets the rules by which tokens are drawn from now on, and restarts the count of draws.
func (s *Session[T]) Start(p op.Sampling) error {
	if err := p.Validate(); err != nil {
		return err
	}
	for b := range s.batch {
		p.Encode(s.hostRules[b*op.RulesSize:])
	}
	s.lastPass, s.drawn = 0, 0
	s.model.Backend.WriteTokens(s.home.rules, s.slot*op.RulesSize, s.hostRules)
	s.writeRecent()
	return nil
}

// writeRecent writes the recent tokens and the number of draws to the device. Tokens drawn ahead become invalid.
func (s *Session[T]) writeRecent() {
	for b := range s.batch {
		s.mirror[b*op.RecentSize+op.RecentSampled] = uint32(s.drawn)
	}
	s.model.Backend.WriteTokens(s.home.recent, s.slot*op.RecentSize, s.mirror)
	s.dirty, s.ahead = false, false
}

// Draw draws the next token of each sequence (B) by the rules of Start. The token does not enter the memory until
// [Model.ForwardDrawn] reads it, and may be dropped. The next call overwrites the slice.
func (s *Session[T]) Draw() ([]uint32, error) {
	if s.ahead {
		s.row[0], s.ahead = s.drawnAhead, false
		s.drawn++
	} else if err := s.draw(); err != nil {
		return nil, err
	}
	if slices.Contains(s.row, op.NotFinite) {
		return nil, s.notFinite()
	}
	s.finite = s.read
	return s.row, nil
}

// Take accepts tokens (B) that the caller has drawn, as if Draw had.
func (s *Session[T]) Take(ids ...uint32) {
	copy(s.row, ids)
	s.ahead, s.dirty = false, true
	s.model.Backend.WriteTokens(s.next, 0, s.row)
}

// draw draws tokens into row.
func (s *Session[T]) draw() error {
	b := s.model.Backend
	if s.dirty {
		s.writeRecent()
	}
	if err := s.run(passKey{rows: s.batch, draw: true}); err != nil {
		return err
	}
	k := len(s.ids) / s.batch
	b.StartDownload(s.out, 0)
	if err := b.FinishDownload(s.out, 0, s.ids); err != nil {
		return err
	}
	for i := range s.row {
		s.row[i] = s.ids[i*k+s.drawn%k]
	}
	s.drawn++
	return nil
}

// offer calls accept with row, unless a prediction was not finite.
func (s *Session[T]) offer(accept func(ids []uint32) bool) (more bool, err error) {
	if slices.Contains(s.row, op.NotFinite) {
		return false, s.notFinite()
	}
	s.finite = s.read
	return accept(s.row), nil
}

// step returns the pass that reads the sampled tokens and predicts what follows.
func (s *Session[T]) step() passKey {
	key := s.reading(1)
	key.step, key.m = true, s.batch
	return key
}

// generateAhead keeps two batches of K tokens in flight: while the host looks at one, the device computes the next. A refused
// token and those after it are undone: the state before their batch is restored, and the accepted ones are read again.
func (s *Session[T]) generateAhead(limit int, accept func(ids []uint32) bool) error {
	b, c, k := s.model.Backend, s.model.Config, s.model.Backend.Lookahead()
	s.makeSnapshots(b, c)
	first, started := s.drawn, 0
	next := s.step()
	next.draw = true
	start := func(slot int) error {
		s.saved[slot].state.copyFrom(b, 0, s.home.state, s.slot, s.batch)
		b.Copy(s.saved[slot].logits, 0, s.home.logits, s.slot*c.Vocab, s.batch*c.Vocab)
		for range min(k, limit-started) {
			if err := s.run(next); err != nil {
				return err
			}
			started++
		}
		b.StartDownload(s.out, slot)
		return nil
	}
	if err := start(0); err != nil {
		return err
	}
	for done, slot := 0, 0; done < limit; slot = 1 - slot {
		n, ahead := min(k, limit-done), started < limit
		if ahead {
			if err := start(1 - slot); err != nil {
				return err
			}
		}
		if err := b.FinishDownload(s.out, slot, s.ids); err != nil {
			return err
		}
		for j := range n {
			for i := range s.batch {
				s.row[i] = s.ids[i*k+(first+done+j)%k]
			}
			if more, why := s.offer(accept); !more {
				if ahead {
					if err := b.FinishDownload(s.out, 1-slot, make([]uint32, s.batch*k)); err != nil {
						return err
					}
				}
				return cmp.Or(s.undo(slot, first+done, j), why)
			}
			s.drawn++
			s.remember(s.row, 1)
		}
		done += n
	}
	return b.Flush()
}

// undo restores the state before the batch in flight, whose first token was number `first` since Start, and reads its first n
// tokens again.
func (s *Session[T]) undo(flight, first, n int) error {
	backend, k := s.model.Backend, s.model.Backend.Lookahead()
	saved := s.saved[flight]
	s.home.state.copyFrom(backend, s.slot, saved.state, 0, s.batch)
	backend.Copy(s.home.logits, s.slot*s.model.Config.Vocab, saved.logits, 0, s.batch*s.model.Config.Vocab)
	s.dirty = true
	s.place(s.read - int64(n))
	for j := range n {
		for b := range s.batch {
			s.row[b] = s.ids[b*k+(first+j)%k]
		}
		backend.WriteTokens(s.next, 0, s.row)
		if err := s.run(s.step()); err != nil {
			return err
		}
	}
	return backend.Flush()
}
