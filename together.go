package bitgpu

import (
	"slices"
	"sync"
	"sync/atomic"

	"bitgpu/nn/op"
)

// gathering lets the streams of one model share a pass over the weights: each waits with its drawn token until no other stream
// can still join, and the first to notice that runs the pass for all. What a stream writes does not depend on the others.
type gathering struct {
	arrived sync.Cond    // with the model's lock: somebody waits, went to the caller, or ended
	writing int          // streams that write
	away    atomic.Int64 // of them, those whose callers are looking at a text, for an unknown time
	waiting []*turn
	passes  int64 // over the weights, for drawn tokens
	read    int64 // drawn tokens that these have read
}

// Batches are the passes over the weights that have read drawn tokens of several texts together, and the tokens that they have read:
// their ratio is how large a batch is. What a device draws ahead for a text that is alone does not count.
func (m *Model) Batches() (passes, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passes, m.read
}

// turn is a drawn token that is to be read.
type turn struct {
	run  runner
	done bool
	err  error
}

// generate draws up to limit tokens and has each read, with those of the other streams where there are any. A device that
// draws ahead does so for a stream that is alone.
func (s *Session) generate(limit int, p op.Sampling, accept func(ids []uint32) bool) error {
	m := s.model
	if err := s.run.Start(p); err != nil {
		return err
	}
	defer m.beginWriting()()
	for left := int(min(int64(limit), s.run.Left())); left > 0; {
		if m.engine.ahead() && m.writing == 1 {
			joined := false
			err := s.run.Continue(left, func(ids []uint32) bool {
				if joined = m.writing > 1; joined { // the token is drawn again, and read with those of the others
					return false
				}
				left--
				return accept(ids)
			})
			if err != nil || !joined {
				return err
			}
		}
		ids, err := s.run.Draw()
		if err != nil {
			return err
		}
		if left--; !accept(ids) {
			return nil
		}
		if err := m.readTogether(&turn{run: s.run}); err != nil {
			return err
		}
	}
	return nil
}

// beginWriting counts a stream until what it returns is called.
func (m *Model) beginWriting() (end func()) {
	m.writing++
	return func() {
		m.writing--
		m.arrived.Broadcast()
	}
}

// readToken reads a token that was drawn by the host, together with what other streams have drawn. The
// stream is one of those that [Model.beginWriting] counts.
func (s *Session) readToken(id uint32) error {
	s.run.Take(id)
	return s.model.readTogether(&turn{run: s.run})
}

// hand lets others have the engine while f shows the caller what a stream has written, and says whether the model is still open.
// Others need not wait for the stream meanwhile, but they do as soon as f has returned, though it has to wait for the engine then:
// while a long pass runs, all that it read for before come back and wait, and the next pass is for all of them.
func (m *Model) hand(f func()) error {
	m.away.Add(1)
	m.arrived.Broadcast()
	return m.yield(func() {
		defer m.away.Add(-1)
		f()
	})
}

// readTogether has a drawn token read, in one pass with those of all streams that wait for the same.
func (m *Model) readTogether(t *turn) error {
	m.waiting = append(m.waiting, t)
	m.arrived.Broadcast()
	for !t.done {
		switch {
		case m.closed:
			m.waiting = slices.DeleteFunc(m.waiting, func(other *turn) bool { return other == t })
			return ErrClosed
		case m.writing-int(m.away.Load()) > len(m.waiting):
			m.arrived.Wait()
		default:
			m.readWaiting()
		}
	}
	return t.err
}

// readWaiting reads what waits.
func (m *Model) readWaiting() {
	turns := m.waiting
	m.waiting = nil
	runs := make([]runner, len(turns))
	for i, t := range turns {
		runs[i] = t.run
	}
	m.passes++
	m.read += int64(len(runs))
	err := m.engine.readDrawn(runs)
	for _, t := range turns {
		t.done, t.err = true, err
	}
	m.arrived.Broadcast()
}
