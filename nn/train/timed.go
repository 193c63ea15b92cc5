package train

import (
	"slices"
	"strings"
	"time"

	"bitgpu/nn/op"
)

// Clock calls record and returns how long it takes to run what that records.
type Clock func(record func()) (time.Duration, error)

// WallClock is the clock for backends whose operations run when they are called.
func WallClock(record func()) (time.Duration, error) {
	start := time.Now()
	record()
	return time.Since(start), nil
}

// Timed is a backend that measures operations one by one. If operations are only recorded, the clock waits for each, so a
// step takes longer than usual.
type Timed[T any] struct {
	op.Executor[T]
	clock Clock
	spent map[string]time.Duration
	err   error // the clock's first error
}

// NewTimed measures the operations of a backend.
func NewTimed[T any](ops op.Executor[T], clock Clock) *Timed[T] {
	return &Timed[T]{Executor: ops, clock: clock, spent: map[string]time.Duration{}}
}

// Timing is the time that all calls of an operation took.
type Timing struct {
	Name string
	Time time.Duration
}

// Timings are the times so far, the longest first.
func (timed *Timed[T]) Timings() []Timing {
	var all []Timing
	for name, spent := range timed.spent {
		all = append(all, Timing{name, spent})
	}
	slices.SortFunc(all, func(a, b Timing) int {
		if a.Time != b.Time {
			return int(b.Time - a.Time)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

// Flush waits, and gives the first error of any wait before.
func (timed *Timed[T]) Flush() error {
	err := timed.Executor.Flush()
	if timed.err != nil {
		err, timed.err = timed.err, nil
	}
	return err
}

// Download gives the clock's error first.
func (timed *Timed[T]) Download(t T, offset int, dst []float32) error {
	if timed.err != nil {
		return timed.Flush()
	}
	return timed.Executor.Download(t, offset, dst)
}

// measure adds what an operation takes.
func (timed *Timed[T]) measure(name string, record func()) {
	took, err := timed.clock(record)
	if err != nil && timed.err == nil {
		timed.err = err
	}
	timed.spent[name] += took
}

// Copy is measured.
func (timed *Timed[T]) Copy(dst T, dstOffset int, src T, srcOffset, n int) {
	timed.measure("Copy", func() { timed.Executor.Copy(dst, dstOffset, src, srcOffset, n) })
}

// Prepare prepares every operation by itself, so that each is measured.
func (timed *Timed[T]) Prepare(p op.Program[T], _ ...T) (op.Prepared, error) {
	var all timedProgram[T]
	all.timed = timed
	for _, o := range p {
		prepared, err := timed.Executor.Prepare(op.Program[T]{o})
		if err != nil {
			all.Release()
			return nil, err
		}
		all.names, all.parts = append(all.names, o.Name()), append(all.parts, prepared)
	}
	return &all, nil
}

// timedProgram is a program whose operations are measured.
type timedProgram[T any] struct {
	timed *Timed[T]
	names []string
	parts []op.Prepared
}

func (p *timedProgram[T]) Run() {
	for i, part := range p.parts {
		p.timed.measure(p.names[i], part.Run)
	}
}

func (p *timedProgram[T]) Release() {
	for _, part := range p.parts {
		part.Release()
	}
}
