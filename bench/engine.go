package bench

import (
	"time"

	"bitgpu/bench/family"
	"bitgpu/nn/op"
)

// Target is an engine under measurement: an [Engine] without its type parameter.
type Target interface {
	info() EngineInfo
	floor(s *suite) (Floor, error)
	parity(s *suite)
	ops(s *suite, f Floor)
	model(s *suite, f Floor, m testModel)
	position(s *suite, m testModel, positions []int64)
	family(s *suite, f Floor, m family.Family)
}

// Counts says what an engine has done, and what it holds.
type Counts struct {
	Dispatches, Submits int   // since it was opened
	Bytes               int64 // of its tensors now
}

// Variant is one of several kernels, or sets of them, that an engine may choose for an operation.
type Variant struct {
	Name string
	Use  func() error
	// Only are the files of operations that the variant concerns; none for all of them and whole models.
	Only []string
}

// Engine is an implementation of the operations, with what is needed to measure it.
type Engine[T any] struct {
	Info EngineInfo
	Ops  op.Executor[T]
	// Time returns how long the work that record starts takes.
	Time func(record func()) (time.Duration, error)
	// Counts returns the engine's counts so far.
	Counts func() Counts
	// Floor measures the limits of the device, with a number of repetitions.
	Floor func(repeats int) (Floor, error)
	// Rate returns how many operations per second the device does at this moment, for [Engine.steady]; nil if that cannot be
	// measured quickly.
	Rate func() float64
	// Variants must keep the parity bounds one by one; the last is the one that runs otherwise. None
	// means that there is nothing to choose.
	Variants []Variant
	// Cache is roughly how many bytes stay in the caches of the device.
	Cache int64

	best   float64   // rate so far
	seenAt time.Time // when it was about as good, if it was so at the last look
}

func (e *Engine[T]) info() EngineInfo { return e.Info }

// floorRepeats is how often a limit is measured at least: all shares depend on it.
const floorRepeats = 5

func (e *Engine[T]) floor(s *suite) (Floor, error) {
	for {
		start := time.Now()
		floor, err := e.Floor(max(s.repeats, floorRepeats))
		floor.Engine = e.Info.Name
		e.best = max(e.best, floor.FLOPS.High)
		if err != nil || e.Rate == nil || floor.FLOPS.Low >= steadyShare*floor.FLOPS.High || !s.spend(time.Since(start)) {
			return floor, err
		}
		s.again++
	}
}
