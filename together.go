package bitgpu

import (
	"slices"
	"sync"

	"bitgpu/nn/op"
)

// gathering lets the streams of one model share a pass over the weights: each waits with its drawn token until no other stream
// can still join, and the first to notice that runs the pass for all. What a stream writes does not depend on the others.
type gathering struct {
	arrived sync.Cond // with the model's lock: somebody waits, went to the caller, or ended
	writing int       // streams that write
	away    int       // of them, those whose text is with the caller, for nobody knows how long
	waiting []*turn
	passes  int64 // over the weights, for drawn tokens
	read    int64 // drawn tokens that these have read
}

// Batches are the passes over the weights that have read drawn tokens of several texts together, and the tokens that they have read:
// their ratio is how large a batch is. Both stay 0 where the device reads each text by itself.
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

// generate is the runner's Generate, together with the other streams where that saves work.
func (s *Session) generate(limit int, p op.Sampling, accept func(ids []uint32) bool) error {
	m := s.model
	if !m.engine.together() {
		return s.run.Generate(limit, p, accept)
	}
	if err := s.run.Start(p); err != nil {
		return err
	}
	defer m.beginWriting()()
	for range min(int64(limit), s.run.Left()) {
		ids, err := s.run.Draw()
		if err != nil {
			return err
		}
		if !m.offer(ids, accept) {
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

// readToken reads a token that was drawn by the host, together with what other streams have drawn where that saves work. The
// stream is one of those that [Model.beginWriting] counts.
func (s *Session) readToken(id uint32) error {
	if !s.model.engine.together() {
		return s.run.Read([]uint32{id})
	}
	s.run.Take(id)
	return s.model.readTogether(&turn{run: s.run})
}

// offer lets accept see drawn tokens, during which others need not wait for this stream.
func (m *Model) offer(ids []uint32, accept func(ids []uint32) bool) bool {
	m.away++
	defer func() { m.away-- }()
	m.arrived.Broadcast()
	return accept(ids)
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
		case m.writing-m.away > len(m.waiting):
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
