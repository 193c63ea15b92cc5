package nn

import (
	"cmp"
	"slices"
)

// snapshot is what refusing a token brings back.
type snapshot[T any] struct {
	state  *State[T]
	logits T // (B, V)
}

// Generate samples up to limit tokens, one a sequence each time, and reads each into the memory.
// accept sees them (B) in order; when it says no, its tokens are not read into the memory and
// generation ends, so that the memory holds exactly what was accepted. It does with a [NotFiniteError]
// too, which comes before any token that is drawn from NaN or infinity.
func (s *Session[T]) Generate(limit int, p Sampling, accept func(ids []uint32) bool) error {
	if err := p.Validate(); err != nil {
		return err
	}
	for b := range s.batch {
		s.mirror[b*RecentSize+RecentSampled] = 0
	}
	s.lastPass = 0
	ops := s.model.Ops
	ops.WriteTokens(s.recent, 0, s.mirror)
	if ops.Lookahead() > 1 {
		return s.generateAhead(limit, p, accept)
	}
	for range limit {
		ops.Sample(s.next, s.out, s.recent, s.logits, p)
		ops.StartReadTokens(s.out, 0)
		if err := ops.FinishReadTokens(s.out, 0, s.row); err != nil {
			return err
		}
		if more, err := s.offer(accept); !more {
			return err
		}
		s.remember(s.row, 1)
		s.step()
	}
	return ops.Flush()
}

// offer shows row to accept, unless a prediction was not finite.
func (s *Session[T]) offer(accept func(ids []uint32) bool) (more bool, err error) {
	if slices.Contains(s.row, NotFinite) {
		return false, s.notFinite()
	}
	s.finite = s.read
	return accept(s.row), nil
}

// generateAhead keeps two batches of K tokens in flight: while the host looks at one, the device
// computes the next. Tokens that are refused, and those after them, are undone: the state before
// their batch comes back and the accepted ones are read again.
func (s *Session[T]) generateAhead(limit int, p Sampling, accept func(ids []uint32) bool) error {
	ops, c, k := s.model.Ops, s.model.Config, s.model.Ops.Lookahead()
	for i := range s.saved {
		if s.saved[i].state == nil {
			s.saved[i] = snapshot[T]{NewState(ops, c, s.batch), ops.New(F32, s.batch, c.Vocab)}
		}
	}
	started := 0
	start := func(slot int) {
		s.saved[slot].state.CopyFrom(ops, c, s.state)
		ops.Copy(s.saved[slot].logits, 0, s.logits, 0, s.batch*c.Vocab)
		for range min(k, limit-started) {
			ops.Sample(s.next, s.out, s.recent, s.logits, p)
			s.step()
			started++
		}
		ops.StartReadTokens(s.out, slot)
	}
	start(0)
	for done, slot := 0, 0; done < limit; slot = 1 - slot {
		n, ahead := min(k, limit-done), started < limit
		if ahead {
			start(1 - slot)
		}
		if err := ops.FinishReadTokens(s.out, slot, s.ids); err != nil {
			return err
		}
		for j := range n {
			for b := range s.batch {
				s.row[b] = s.ids[b*k+j]
			}
			if more, why := s.offer(accept); !more {
				if ahead {
					if err := ops.FinishReadTokens(s.out, 1-slot, make([]uint32, s.batch*k)); err != nil {
						return err
					}
				}
				return cmp.Or(s.undo(slot, j), why)
			}
			s.remember(s.row, 1)
		}
		done += n
	}
	return ops.Flush()
}

// undo returns to the state before the batch in slot and reads its first n tokens again.
func (s *Session[T]) undo(slot, n int) error {
	ops, k := s.model.Ops, s.model.Ops.Lookahead()
	s.state.CopyFrom(ops, s.model.Config, s.saved[slot].state)
	ops.Copy(s.logits, 0, s.saved[slot].logits, 0, s.batch*s.model.Config.Vocab)
	for j := range n {
		for b := range s.batch {
			s.row[b] = s.ids[b*k+j]
		}
		ops.WriteTokens(s.next, 0, s.row)
		s.step()
	}
	return ops.Flush()
}
