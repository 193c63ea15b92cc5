package main

import (
	"fmt"
	"math"

	"bitgpu"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/freemem"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"
	"bitgpu/nn/webgpu/tuned"

	"github.com/urfave/cli/v2"
)

// trainer makes learners and evaluators on one backend, whose tensor type it hides.
type trainer struct {
	device  string // in words
	note    string // why that, where it may surprise
	onCPU   bool
	kind    string      // what results depend on to the bit
	room    int64       // bytes that a training should stay below
	shape   train.Shape // its group and what else of it the options do not say
	learner func(c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Engine, error)
	// timed is a learner whose operations are timed, which costs speed.
	timed    func(c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Engine, stopwatch, error)
	evaluate func(c nn.Config, made *nn.Config, w *nn.Weights[op.HostTensor], batch, time int, tokens train.Tokens) (train.Evaluation, error)
	reread   func(c nn.Config, w *nn.Weights[op.HostTensor], tokens train.Tokens, passages, length int) (train.Reread, error)
	write    func(c nn.Config, w *nn.Weights[op.HostTensor], prompt []uint32, n int, p op.Sampling) ([]uint32, error)
	memory   func() int64 // the most bytes on the device so far, 0 = unknown
	close    func()
	asUsual  func() // from now on nothing is computed in a way that a measurement chose
}

// stopwatch is a train.Timed without its type parameter.
type stopwatch interface{ Timings() []train.Timing }

func trainerOn[T any](ops op.Backend[T], clock train.Clock) *trainer {
	t := &trainer{room: math.MaxInt64, close: func() {}, asUsual: func() {}}
	t.learner = func(c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Engine, error) {
		return train.NewLearner(ops, c, s, w)
	}
	t.timed = func(c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Engine, stopwatch, error) {
		timed := train.NewTimed(ops, clock)
		e, err := train.NewLearner[T](timed, c, s, w)
		return e, timed, err
	}
	t.evaluate = func(c nn.Config, made *nn.Config, w *nn.Weights[op.HostTensor], batch, time int, tokens train.Tokens) (train.Evaluation, error) {
		m, err := nn.NewModel(ops, c, w)
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
	t.reread = func(c nn.Config, w *nn.Weights[op.HostTensor], tokens train.Tokens, passages, length int) (train.Reread, error) {
		m, err := nn.NewModel(ops, c, w)
		if err != nil {
			return train.Reread{}, err
		}
		defer m.Release()
		return train.MeasureReread(m, tokens, passages, length)
	}
	t.write = func(c nn.Config, w *nn.Weights[op.HostTensor], prompt []uint32, n int, p op.Sampling) (ids []uint32, err error) {
		m, err := nn.NewModel(ops, c, w)
		if err != nil {
			return nil, err
		}
		defer m.Release()
		s, err := m.NewSession(1, c.DefaultScan())
		if err != nil {
			return nil, err
		}
		defer s.Close()
		if err := s.Read(prompt); err != nil {
			return nil, err
		}
		err = s.Generate(n, p, func(next []uint32) bool {
			ids = append(ids, next[0])
			return true
		})
		return ids, err
	}
	t.memory = func() int64 {
		if counted, ok := ops.(interface{ BytesInUse() int }); ok {
			return int64(counted.BytesInUse())
		}
		return 0
	}
	return t
}

// openTrainer chooses what computes, by the flags of computeFlags, as the other commands do.
func openTrainer(c *cli.Context) (*trainer, error) {
	backend, adapter, err := backendOf(c)
	if err != nil {
		return nil, err
	}
	if backend == bitgpu.CPU {
		return openCPU(), nil
	}
	g, note, err := tuned.Choose(backend == bitgpu.Auto, adapter)
	if err != nil {
		return nil, err
	}
	t := openCPU()
	if g != nil {
		t = onGPU(g)
	}
	t.note = note
	return t, nil
}

func openCPU() *trainer {
	t := trainerOn(cpu.New(), train.WallClock)
	t.onCPU = true
	t.device = fmt.Sprintf("CPU (%d threads, %v)", parallel.Workers(), simd.Active())
	t.kind = fmt.Sprint("CPU, ", simd.Active())
	t.room = freeMemory()
	return t
}

func onGPU(g *tuned.GPU) *trainer {
	t := trainerOn[*webgpu.Tensor](g.Ops, g.Time)
	t.device = g.String()
	info := g.Info()
	t.kind = fmt.Sprintf("%s, %s, driver %s", info.Name, info.Backend, info.Driver)
	t.asUsual = func() { g.Ops.Tune(nil) }
	if !g.Info().Hardware() {
		t.room = freeMemory()
	}
	t.memory = func() int64 { return int64(g.PeakBytes()) }
	t.close = g.Close
	return t
}

// freeMemory is what a training on the CPU should stay below: most of what this process may still take, any amount where
// nobody says.
func freeMemory() int64 {
	if available := freemem.Free(); available > 0 {
		return available / 10 * 8
	}
	return math.MaxInt64
}

// memoryOf is how many bytes a training takes on the device, on one rank. On the CPU its sums lie there too.
func (t *trainer) memoryOf(c nn.Config, s train.Shape) int64 {
	if t.onCPU {
		return train.Memory(c, s) + train.SumsMemory(c, s, true)
	}
	return train.Memory(c, s)
}

// plan decides whether all activations are kept or, if told or if they do not fit, blocks are
// computed again. It refuses what does not fit either way.
func (t *trainer) plan(c nn.Config, o train.Options) (train.Shape, error) {
	s := o.Shape()
	s.Group, s.ShardOptimizer = t.shape.Group, t.shape.ShardOptimizer
	s.Recompute = o.Recompute == train.RecomputeOn || o.Recompute == train.RecomputeAuto && t.memoryOf(c, s) > t.room
	// The first weights are drawn in the host's memory, wherever the training runs.
	if host, free := 4*int64(c.ParamCount()), freeMemory(); host > free {
		return s, fmt.Errorf("the weights of this model take %s of memory, and %s are free", byteCount(host), byteCount(free))
	}
	if need := t.memoryOf(c, s); need > t.room {
		advice := "a smaller --batch-size with more --accumulate takes less"
		again := s
		again.Recompute = true
		if less := t.memoryOf(c, again); less <= t.room { // nobody but --recompute off has kept it from that
			advice = "--recompute on takes " + byteCount(less)
		}
		return s, fmt.Errorf("this training takes %s of memory, and %s are free; %s", byteCount(need), byteCount(t.room), advice)
	}
	return s, nil
}

// checkEvaluation refuses an evaluation that does not fit.
func (t *trainer) checkEvaluation(c nn.Config, batch, time int) error {
	if c.Decoder != nil {
		f := c.Footprint(1, 1) // its weights are there already
		if need := f.Workspace + f.Session; need > t.room {
			return fmt.Errorf("this evaluation takes %s of memory, and %s are free; a smaller --context-len takes less", byteCount(need), byteCount(t.room))
		}
		return nil
	}
	if need := c.Footprint(1, 1).Weights + min(train.EvaluationMemory(c, batch, time), math.MaxInt64/2); need > t.room {
		return fmt.Errorf("this evaluation takes %s of memory, and %s are free; a smaller --batch-size or --context-len takes less",
			byteCount(need), byteCount(t.room))
	}
	return nil
}

// newEngine makes an engine of a plan. Where the device turns out to have less memory than
// thought, it computes blocks again.
func (t *trainer) newEngine(c nn.Config, o train.Options, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Engine, error) {
	e, err := t.learner(c, s, w)
	if err != nil && o.Recompute == train.RecomputeAuto && !s.Recompute {
		s.Recompute = true
		e, err = t.learner(c, s, w)
	}
	return e, err
}
