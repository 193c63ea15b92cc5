package nn

import "slices"

// ForwardDrawn reads the tokens that sessions of one sequence each have drawn into their memories, and predicts what follows.
// For all sessions of one [Batch] it reads the weights once and draws the next tokens on the way, which [Session.Draw] then
// returns. Each session gets bit for bit what it gets alone. Tokens read before an error stay read. The error is
// [ErrContext], or one of the backend.
func (m *Model[T]) ForwardDrawn(sessions []*Session[T]) error {
	for _, s := range sessions {
		if s.batch != 1 || s.model != m {
			panic("nn: ForwardDrawn is for sessions of one sequence and of this model")
		}
		if err := s.room(1); err != nil {
			return err
		}
	}
	most := m.Backend.Alike()
	for i, first := range sessions {
		if slices.ContainsFunc(sessions[:i], func(s *Session[T]) bool { return s.home == first.home }) {
			continue // was read together with those before
		}
		turn := m.turn[:0]
		for _, s := range sessions[i:] {
			if s.home != first.home {
				continue
			}
			if turn = append(turn, s); len(turn) == most {
				if err := first.home.forwardDrawn(turn); err != nil {
					return err
				}
				turn = turn[:0]
			}
		}
		if m.turn = turn; len(turn) > 0 {
			if err := first.home.forwardDrawn(turn); err != nil {
				return err
			}
		}
	}
	m.Backend.Submit()
	return nil
}

// forwardDrawn is ForwardDrawn for sessions of this batch.
func (h *Batch[T]) forwardDrawn(sessions []*Session[T]) error {
	if h.list.size == 0 { // it has a single slot
		s := sessions[0]
		if err := s.run(s.step()); err != nil {
			return err
		}
		s.remember(s.row, 1)
		return nil
	}
	b, n := h.model.Backend, len(sessions)
	ids := h.model.ids[:0]
	for _, s := range sessions {
		if s.dirty {
			s.writeRecent()
		}
		ids = append(ids, s.row[0])
	}
	h.model.ids = ids
	b.WriteTokens(h.model.work.tokens, 0, ids)
	h.list.use(b, sessions...)
	p, err := h.pass(passKey{rows: n, each: n, blocks: true, m: n}, nil)
	if err != nil {
		return err
	}
	p.programs[0].Run()
	b.StartDownload(p.out, 0)
	if err := b.FinishDownload(p.out, 0, ids); err != nil {
		return err
	}
	for i, s := range sessions {
		s.remember(s.row, 1)
		s.lastPass, s.ahead, s.drawnAhead = 0, true, ids[i]
	}
	return nil
}
