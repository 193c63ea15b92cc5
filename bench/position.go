package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"bitgpu/nn"
)

// positionGoal is after how many tokens a model's speed is measured.
type positionGoal struct {
	size      Size
	positions []int64
}

// readingPatience limits the time for reaching a position, in repetitions.
const readingPatience = 20

// position measures what a token costs after many others. All of them are really read: a position is
// not a number that could be set, but what the memory has been through.
func (e *Engine[T]) position(s *suite, m testModel, positions []int64) {
	key := positionPath(m.size, m.mixer)
	s.report.fail(e.Info.Name, key, e.read(s, key, m, positions))
}

func (e *Engine[T]) read(s *suite, key string, m testModel, positions []int64) error {
	model, err := nn.NewModel(e.Ops, m.config, m.host)
	if err != nil {
		return err
	}
	defer model.Release()
	session, err := model.NewSession(1, m.config.DefaultScan())
	if err != nil {
		return err
	}
	defer session.Close()
	write := func() error {
		return session.Generate(s.text, usualSampling, func([]uint32) bool { return true })
	}
	if err := write(); err != nil { // what is made at first use is not the position's
		return err
	}
	session.Reset()
	r := rand.New(rand.NewPCG(7, 8))
	var first PositionCost
	var read int64            // tokens
	var reading time.Duration // the time they took
	for i, position := range positions {
		if read > 0 {
			left := reading.Seconds() / float64(read) * float64(position-session.Position())
			if s.tooLong(e.Info, fmt.Sprintf("%s at %d", key, position), left, readingPatience) {
				break
			}
		}
		s.progress(fmt.Sprintf("%s %s at %d", e.Info.Name, key, position))
		start, from := time.Now(), session.Position()
		for session.Position() < position {
			if s.stopped() {
				return nil
			}
			n := min(4096, position-session.Position())
			if err := session.Forward(randomTokens(r, m.config.Vocab, int(n))); err != nil {
				return err
			}
		}
		if err := e.Ops.Flush(); err != nil {
			return err
		}
		reading += time.Since(start)
		read += session.Position() - from
		row, err := e.cost(s, key, session, write)
		// A disturbance passes; growth remains.
		for again := 0; err == nil && i > 0 && row.grown(first) == "time" && again < disturbances; again++ {
			row, err = e.cost(s, key, session, write)
		}
		if err != nil {
			return err
		}
		if i == 0 {
			first = row
		}
		s.report.Positions = append(s.report.Positions, row)
	}
	return nil
}

// disturbances is how often a token is measured again if it seems to take longer than at the first position.
const disturbances = 3

// cost measures a token at the session's position.
func (e *Engine[T]) cost(s *suite, key string, session *nn.Session[T], write func() error) (PositionCost, error) {
	row := PositionCost{Engine: e.Info.Name, Key: key, Position: session.Position()}
	var failed error
	seconds, err := repeated(e.steady(s, e.wall), s.repeats, s.each, func() {
		if err := write(); err != nil && failed == nil {
			failed = err
		}
	})
	if err := errors.Join(failed, err); err != nil {
		return row, err
	}
	row.Seconds = seconds.scaled(1 / float64(s.text))
	row.Memory = e.Counts().Bytes
	runtime.GC()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	row.Heap = int64(heap.HeapAlloc)
	return row, nil
}
