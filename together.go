package bitgpu

import (
	"slices"
	"sync"
	"sync/atomic"

	"bitgpu/nn/op"
)

// gathering lets the streams of a model share a pass over the weights: each waits with its drawn token until no other stream
// can still join, and the first to notice this runs the pass for all. What a stream writes does not depend on the others.
type gathering struct {
	arrived sync.Cond    // with the model's lock: a stream waits, went to its caller, or ended
	writing int          // streams that write
	away    atomic.Int64 // those whose callers are handling text, which takes an unknown time
	waiting []*turn
	passes  int64 // over the weights, to read drawn tokens
	read    int64 // tokens read by these passes
}

// Batches returns how many passes over the weights have read drawn tokens of several texts together, and how many tokens
// these were. Their ratio is the mean size of a batch. Tokens that a device draws ahead for a single text are not counted.
func (m *Model) Batches() (passes, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passes, m.read
}

// turn is a drawn token waiting to be read.
type turn struct {
	run  runner
	done bool
	err  error
}

// generate draws up to limit tokens and reads each, together with those of other streams if there are any. A stream that is
// alone draws ahead if its device can.
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
				if joined = m.writing > 1; joined { // the token is drawn again, and read together with the others'
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

// beginWriting counts a stream until end is called.
func (m *Model) beginWriting() (end func()) {
	m.writing++
	return func() {
		m.writing--
		m.arrived.Broadcast()
	}
}

// readToken reads a token drawn by the host, together with those that other streams have drawn. The stream must be counted by
// [Model.beginWriting].
func (s *Session) readToken(id uint32) error {
	s.run.Take(id)
	return s.model.readTogether(&turn{run: s.run})
}

// hand lets others use the engine while f shows the caller what a stream has written. Meanwhile the other streams do not wait
// for this one. They do as soon as f has returned, even though this stream then has to wait for the engine: thus all streams
// that a long pass has read for come back and wait, and the next pass is for all of them. The error is [ErrClosed] if the
// model was closed meanwhile.
func (m *Model) hand(f func()) error {
	m.away.Add(1)
	m.arrived.Broadcast()
	return m.yield(func() {
		defer m.away.Add(-1)
		f()
	})
}

// readTogether reads a drawn token in one pass with those of all waiting streams.
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

// readWaiting reads the tokens that are waiting.
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
