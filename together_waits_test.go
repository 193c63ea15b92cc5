package bitgpu

import (
	"runtime"
	"sync"
	"testing"

	"bitgpu/nn/op"
)

// slowEngine runs a pass only when nobody is with a caller any more, as one does that takes long.
type slowEngine struct {
	engine
	model  *Model
	begun  chan struct{} // is closed when the first pass begins
	passes []int         // streams of each
}

func (e *slowEngine) ahead() bool { return false }

func (e *slowEngine) readDrawn(runs []runner) error {
	if e.passes = append(e.passes, len(runs)); len(e.passes) == 1 {
		close(e.begun)
	}
	for e.model.away.Load() > 0 {
		runtime.Gosched()
	}
	return nil
}

// stuckRunner draws zeros.
type stuckRunner struct{ runner }

func (stuckRunner) Start(op.Sampling) error { return nil }
func (stuckRunner) Draw() ([]uint32, error) { return []uint32{0}, nil }
func (stuckRunner) Left() int64             { return 1 << 20 }

// Streams that come back from their callers while a pass runs are read for together in the next one, though each has to wait for the
// engine to say so.
func TestStreamsThatComeBackDuringAPassShareTheNext(t *testing.T) {
	const streams, tokens = 8, 4
	m := &Model{}
	m.arrived.L = &m.mu
	e := &slowEngine{model: m, begun: make(chan struct{})}
	m.engine = e
	var all, begun sync.WaitGroup
	begun.Add(streams)
	for i := range streams {
		all.Go(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			s, seen := &Session{model: m, run: stuckRunner{}}, 0
			err := s.generate(tokens, op.Sampling{}, func([]uint32) bool {
				err := m.hand(func() {
					if seen++; seen > 1 {
						return
					}
					begun.Done()
					if begun.Wait(); i > 0 { // all write; the first one alone is read for
						<-e.begun
					}
				})
				return err == nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(e.passes) < 2 || e.passes[0] != 1 {
		t.Fatalf("got passes for %v streams, want one for the first stream alone and others", e.passes)
	}
	if e.passes[1] < streams-1 {
		t.Errorf("got passes for %v streams, want the second for all %d that came back during the first", e.passes, streams-1)
	}
}
