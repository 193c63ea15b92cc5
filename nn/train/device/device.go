package device

import (
	"fmt"
	"math"

	"bitgpu/io/regular"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/freemem"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"
	"bitgpu/nn/webgpu/tuned"
)

// Device is what trainings and measurements run on. It is for one goroutine at a time. Close it at the end.
type Device struct {
	Name  string // the device's name, for users
	Note  string // why this device was chosen, if that may be surprising
	Kind  string // what results depend on, down to the last bit
	OnCPU bool
	Room  int64 // bytes that a training should stay below

	// Group and ShardOptimizer are used in the shapes that Plan makes; see [train.Shape].
	Group          train.Group
	ShardOptimizer bool

	// Learner makes a trainer. The error says that memory is insufficient or an operation is missing.
	Learner func(c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Trainer, error)
	// TimedLearner makes a trainer that times every operation, which slows it down. timings returns the times so far.
	TimedLearner func(c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) (t train.Trainer, timings func() []train.Timing, err error)
	// Evaluate predicts tokens in rows of time tokens, batch rows at once. For a model of a public family it also measures the
	// divergence from the model in the configuration made, unless that is nil.
	Evaluate func(c nn.Config, made *nn.Config, w *nn.Weights[op.HostTensor], batch, time int, tokens train.Tokens) (train.Evaluation, error)
	// Reread is [train.MeasureReread].
	Reread func(c nn.Config, w *nn.Weights[op.HostTensor], tokens train.Tokens, passages, length int) (train.Reread, error)
	// Write reads a prompt and draws n tokens after it.
	Write func(c nn.Config, w *nn.Weights[op.HostTensor], prompt []uint32, n int, p op.Sampling) ([]uint32, error)
	// PeakBytes returns the largest total size of the tensors on the device so far, 0 if it is unknown.
	PeakBytes func() int64
	// Untune makes everything prepared from now on use the usual kernels instead of those chosen by measurement.
	Untune func()

	close func()
}

// CPU returns the CPU as a device.
func CPU() *Device {
	d := on(cpu.New(), train.WallClock)
	d.OnCPU = true
	d.Name = cpu.DeviceName()
	d.Kind = fmt.Sprint("CPU, ", simd.Active())
	d.Room = FreeMemory()
	return d
}

// Open opens a GPU by an adapter's number or part of its name, or the best one for "". With auto it opens the CPU if the
// machine has no usable hardware GPU, and Note says why. Errors are those of gpu.Open.
func Open(auto bool, adapter string) (*Device, error) {
	g, note, err := tuned.Choose(auto, adapter)
	if err != nil {
		return nil, err
	}
	d := CPU()
	if g != nil {
		d = onGPU(g)
	}
	d.Note = note
	return d, nil
}

func onGPU(g *tuned.GPU) *Device {
	d := on[*webgpu.Tensor](g.Ops, g.Time)
	d.Name = g.String()
	info := g.Info()
	d.Kind = fmt.Sprintf("%s, %s, driver %s", info.Name, info.Backend, info.Driver)
	d.Untune = func() { g.Ops.Tune(nil) }
	if !info.Hardware() {
		d.Room = FreeMemory()
	}
	d.PeakBytes = func() int64 { return int64(g.PeakBytes()) }
	d.close = g.Close
	return d
}

// Close releases what the device holds. Release what was made on it first.
func (d *Device) Close() { d.close() }

// on returns a device for a backend, with a clock for its operations.
func on[T any](ops op.Executor[T], clock train.Clock) *Device {
	d := &Device{Room: math.MaxInt64, Untune: func() {}, close: func() {}}
	d.Learner = func(c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Trainer, error) {
		return read(func() (train.Trainer, error) { return train.NewLearner(ops, c, s, w) })
	}
	d.TimedLearner = func(c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Trainer, func() []train.Timing, error) {
		timed := train.NewTimed(ops, clock)
		l, err := read(func() (train.Trainer, error) { return train.NewLearner[T](timed, c, s, w) })
		return l, timed.Timings, err
	}
	d.Evaluate = func(c nn.Config, made *nn.Config, w *nn.Weights[op.HostTensor], batch, time int, tokens train.Tokens) (train.Evaluation, error) {
		return evaluate(ops, c, made, w, batch, time, tokens)
	}
	d.Reread = func(c nn.Config, w *nn.Weights[op.HostTensor], tokens train.Tokens, passages, length int) (train.Reread, error) {
		m, err := model(ops, c, w)
		if err != nil {
			return train.Reread{}, err
		}
		defer m.Release()
		return train.MeasureReread(m, tokens, passages, length)
	}
	d.Write = func(c nn.Config, w *nn.Weights[op.HostTensor], prompt []uint32, n int, p op.Sampling) ([]uint32, error) {
		return write(ops, c, w, prompt, n, p)
	}
	d.PeakBytes = func() int64 {
		if counted, ok := ops.(interface{ BytesInUse() int }); ok {
			return int64(counted.BytesInUse())
		}
		return 0
	}
	return d
}

// read calls make with weights that may be mapped from a file. If the file is truncated meanwhile, that is an error.
func read[V any](make func() (V, error)) (v V, err error) {
	err = regular.Guard(func() (err error) {
		v, err = make()
		return err
	})
	return v, err
}

func model[T any](ops op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor]) (*nn.Model[T], error) {
	return read(func() (*nn.Model[T], error) { return nn.NewModel(ops, c, w) })
}

func evaluate[T any](ops op.Executor[T], c nn.Config, made *nn.Config, w *nn.Weights[op.HostTensor], batch, time int, tokens train.Tokens) (train.Evaluation, error) {
	m, err := model(ops, c, w)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer m.Release()
	if c.Decoder != nil {
		var of *nn.Model[T]
		if made != nil {
			of = m.As(*made)
			defer of.Release()
		}
		return train.EvaluateWindows(m, of, tokens, time, nil)
	}
	e, err := train.NewEvaluator(m, batch, time)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer e.Release()
	return e.Evaluate(tokens, nil)
}

func write[T any](ops op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], prompt []uint32, n int, p op.Sampling) (ids []uint32, err error) {
	m, err := model(ops, c, w)
	if err != nil {
		return nil, err
	}
	defer m.Release()
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.Forward(prompt); err != nil {
		return nil, err
	}
	err = s.Generate(n, p, func(next []uint32) bool {
		ids = append(ids, next[0])
		return true
	})
	return ids, err
}

// FreeMemory returns what a training on the CPU should stay below, in bytes: most of what this process can still allocate, or
// an arbitrarily large number if the system does not say.
func FreeMemory() int64 {
	if available := freemem.Free(); available > 0 {
		return available / 10 * 8
	}
	return math.MaxInt64
}
