package train_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"
)

// backend is one engine that the same tests run on, with the tolerance it is held to.
type backend struct {
	name      string
	tolerance float64
	learner   func(t testing.TB, c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) learner
}

// learner is what the tests use of a train.Learner.
type learner interface {
	train.Trainer
	Gradients() (*nn.Weights[op.HostTensor], error)
}

// on makes a backend of a maker of operations.
func on[T any](name string, tolerance float64, ops func(t testing.TB) op.Executor[T]) backend {
	return backend{name, tolerance, func(t testing.TB, c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor]) learner {
		l, err := train.NewLearner(ops(t), c, s, w)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Release)
		return l
	}}
}

var backends = []backend{
	on("cpu", 1e-4, func(testing.TB) op.Executor[*cpu.Tensor[float32]] { return cpu.New() }),
	on("scalar", 1e-4, func(testing.TB) op.Executor[*cpu.Tensor[float32]] { return cpu.NewScalar[float32]() }),
	on("webgpu", 1e-3, func(t testing.TB) op.Executor[*webgpu.Tensor] {
		ops := webgpu.New(gputest.Device(t))
		t.Cleanup(ops.Close)
		return ops
	}),
}

func onEach(t *testing.T, test func(t *testing.T, b backend)) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { test(t, b) })
	}
}

// batch is the inputs and targets of a step.
type batch struct{ inputs, targets []uint32 }

// batchOf parts rows of T+1 tokens.
func batchOf(rows ...[]uint32) (b batch) {
	for _, r := range rows {
		b.inputs = append(b.inputs, r[:len(r)-1]...)
		b.targets = append(b.targets, r[1:]...)
	}
	return b
}

// referenceShape is how the reference trained.
func referenceShape(r *optest.Reference) train.Shape {
	return train.Shape{Batch: len(r.Tokens), Time: len(r.Tokens[0]) - 1, Accumulate: 1, WeightDecay: 0.01}
}

// take takes one step and gives what it measured.
func take(t testing.TB, l learner, rate float64, b batch) train.Result {
	t.Helper()
	l.Step(rate, b.inputs, b.targets)
	results, err := l.Results()
	if err != nil {
		t.Fatal(err)
	}
	return results[len(results)-1]
}

func compare(t testing.TB, c nn.Config, what string, got, want *nn.Weights[op.HostTensor], tolerance float64) {
	t.Helper()
	var wants [][]float32
	nn.Walk(c, want, func(_ nn.Param, h *op.HostTensor) { wants = append(wants, h.F32) })
	i := 0
	nn.Walk(c, got, func(p nn.Param, h *op.HostTensor) {
		if e := optest.RelativeError(h.F32, wants[i]); !(e <= tolerance) {
			t.Errorf("%s %s: relative error %.2g, want %.0g", what, p.Names[0], e, tolerance)
		}
		i++
	})
}

func clone(c nn.Config, w *nn.Weights[op.HostTensor]) *nn.Weights[op.HostTensor] {
	return nn.MapWeights(c, w, func(_ nn.Param, h op.HostTensor) op.HostTensor {
		h.F32 = append([]float32(nil), h.F32...)
		return h
	})
}

func gradients(t testing.TB, l learner) *nn.Weights[op.HostTensor] {
	t.Helper()
	g, err := l.Gradients()
	if err != nil {
		t.Fatal(err)
	}
	return clone(l.Config(), g)
}

func masters(t testing.TB, l learner) *nn.Weights[op.HostTensor] {
	t.Helper()
	w, err := l.Download(train.Masters)
	if err != nil {
		t.Fatal(err)
	}
	return clone(l.Config(), w)
}

func TestReference(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		for _, name := range optest.ReferenceNames {
			r := optest.LoadReference(t, name)
			expect := func(prefix string) *nn.Weights[op.HostTensor] {
				return nn.MapWeights(r.Config, r.Weights, func(p nn.Param, _ op.HostTensor) op.HostTensor {
					return op.HostTensor{F32: r.ExpectParam(t, prefix, p)}
				})
			}
			for _, chunk := range []int{1, 16, 64} {
				t.Run(fmt.Sprintf("%s/chunk%d", name, chunk), func(t *testing.T) {
					s := referenceShape(r)
					s.Chunk = chunk
					l := b.learner(t, r.Config, s, r.Weights)
					var losses []float32
					for step := range 3 {
						losses = append(losses, take(t, l, 1e-3, batchOf(r.Tokens...)).Loss)
						if step == 0 {
							compare(t, r.Config, "gradient", gradients(t, l), expect("grad."), b.tolerance)
						}
					}
					if e := optest.RelativeError(losses, r.Expect(t, "adamw.losses")); e > b.tolerance {
						t.Errorf("losses: relative error %.2g", e)
					}
					compare(t, r.Config, "after three steps", masters(t, l), expect("adamw.step3."), b.tolerance)
				})
			}
		}
	})
}

// TestRecompute wants the very same bits: the same operations ran on the same numbers.
func TestRecompute(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		for _, name := range optest.ReferenceNames {
			r := optest.LoadReference(t, name)
			var grads [2]*nn.Weights[op.HostTensor]
			for i := range grads {
				s := referenceShape(r)
				s.Recompute = i == 1
				l := b.learner(t, r.Config, s, r.Weights)
				take(t, l, 1e-3, batchOf(r.Tokens...))
				grads[i] = gradients(t, l)
			}
			compare(t, r.Config, name, grads[1], grads[0], 0)
		}
	})
}

// TestAccumulate: four micro-batches of a quarter of the batch make the same step.
func TestAccumulate(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		for _, name := range optest.ReferenceNames {
			r := optest.LoadReference(t, name)
			const batch, time = 8, 24
			tokens := randomBatch(batch*time, r.Config.Vocab)
			whole := b.learner(t, r.Config, train.Shape{Batch: batch, Time: time, Accumulate: 1, Clip: 1}, r.Weights)
			parts := b.learner(t, r.Config, train.Shape{Batch: batch / 4, Time: time, Accumulate: 4, Clip: 1}, r.Weights)
			want, got := take(t, whole, 1e-3, tokens), take(t, parts, 1e-3, tokens)
			if d := math.Abs(float64(want.Loss - got.Loss)); d > 1e-5 {
				t.Errorf("%s: loss %v at once, %v in four parts", name, want.Loss, got.Loss)
			}
			compare(t, r.Config, name+" gradient", gradients(t, parts), gradients(t, whole), 2e-5)
			compare(t, r.Config, name+" weights", masters(t, parts), masters(t, whole), b.tolerance)
		}
	})
}

func randomBatch(n, vocab int) batch {
	random := rand.New(rand.NewPCG(1, 2))
	ids := make([]uint32, n+1)
	for i := range ids {
		ids[i] = random.Uint32N(uint32(vocab))
	}
	return batchOf(ids)
}

// TestClip: the update follows the clipped gradient, and the norm that is reported does not.
func TestClip(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		r := optest.LoadReference(t, "d36-absmean")
		s := referenceShape(r)
		free := b.learner(t, r.Config, s, r.Weights)
		norm := take(t, free, 1e-3, batchOf(r.Tokens...)).GradNorm
		s.Clip = float64(norm) / 2
		clipped := b.learner(t, r.Config, s, r.Weights)
		if got := take(t, clipped, 1e-3, batchOf(r.Tokens...)).GradNorm; got != norm {
			t.Errorf("got norm %v, want %v", got, norm)
		}
		read := func(l learner) *nn.Weights[op.HostTensor] {
			m, err := l.Download(train.FirstMoments)
			if err != nil {
				t.Fatal(err)
			}
			return clone(r.Config, m)
		}
		half := nn.MapWeights(r.Config, read(free), func(_ nn.Param, h op.HostTensor) op.HostTensor {
			for i := range h.F32 {
				h.F32[i] /= 2
			}
			return h
		})
		compare(t, r.Config, "first moment", read(clipped), half, 1e-5)
	})
}

// TestRepeatedWord: the exact rule stays finite where every key is the same.
func TestRepeatedWord(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		for _, rate := range []float64{0.1, 1} {
			c := nn.Config{Vocab: 16, Width: 32, Layers: 2, InnerLR: rate}.WithDefaults()
			s := train.Shape{Batch: 2, Time: 64, Accumulate: 1, WeightDecay: 0.01}
			l := b.learner(t, c, s, train.InitialWeights(c, 1))
			word := make([]uint32, 2*64+1)
			for i := range word {
				word[i] = 5
			}
			tokens := batchOf(word)
			var last train.Result
			for range 30 {
				last = take(t, l, 3e-3, tokens)
			}
			if last.Loss > 0.5 {
				t.Errorf("inner rate %v: loss %v after 30 steps of one word", rate, last.Loss)
			}
		}
	})
}

func TestNotFinite(t *testing.T) {
	for rule, advice := range map[string]string{
		nn.RuleMinibatch:  "loss is not finite at step 0; try --ttt-rule sequential",
		nn.RuleSequential: "loss is not finite at step 0; try a smaller learning rate",
	} {
		c := nn.Config{Vocab: 16, Width: 32, Layers: 1, InnerLR: 0.1, Rule: rule}.WithDefaults()
		w := train.InitialWeights(c, 1)
		(*w)[len(*w)-2].F32[3] = float32(math.NaN())
		l := backends[0].learner(t, c, train.Shape{Batch: 1, Time: 8, Accumulate: 1}, w)
		l.Step(1e-3, make([]uint32, 8), make([]uint32, 8))
		if results, err := l.Results(); err == nil || err.Error() != advice || len(results) != 0 {
			t.Errorf("got %v and %v, want %q", err, results, advice)
		}
	}
}

// TestMinibatchDiverges: with one word repeated and a chunk of 64 the summed step overshoots.
func TestMinibatchDiverges(t *testing.T) {
	c := nn.Config{Vocab: 16, Width: 32, Layers: 2, InnerLR: 1, Rule: nn.RuleMinibatch, Chunk: 32}.WithDefaults()
	l := backends[0].learner(t, c, train.Shape{Batch: 1, Time: 2048, Accumulate: 1}, train.InitialWeights(c, 1))
	l.Step(1e-3, make([]uint32, 2048), make([]uint32, 2048))
	if _, err := l.Results(); err == nil {
		t.Error("the minibatch rule was expected to diverge")
	}
}

// TestMemory: the estimate that decides about recomputing is what is really taken.
func TestDeviceBytes(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		for _, recompute := range []bool{false, true} {
			r := optest.LoadReference(t, name)
			s := train.Shape{Batch: 3, Time: 40, Accumulate: 2, Recompute: recompute}
			ops := cpu.New()
			l, err := train.NewLearner(ops, r.Config, s, r.Weights)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := int64(ops.BytesInUse()), train.DeviceBytes(r.Config, s); got != want {
				t.Errorf("%s, recompute=%v: %d bytes estimated, %d in use", name, recompute, want, got)
			}
			l.Release()
			if n := ops.BytesInUse(); n != 0 {
				t.Errorf("%s: %d bytes left after Release", name, n)
			}
		}
	}
}

// TestMemoryOfLargeModels holds the two promises about memory at batch 16 × 128.
func TestMemoryOfLargeModels(t *testing.T) {
	s := train.Shape{Batch: 16, Time: 128, Accumulate: 1}
	small := nn.Config{Vocab: 32000, Width: 256, Layers: 8}.WithDefaults()
	if got := train.DeviceBytes(small, s); got > 2e9 {
		t.Errorf("256×8: %.2f GB", float64(got)/1e9)
	}
	large := nn.Config{Vocab: 32000, Width: 1024, Layers: 24}.WithDefaults()
	s.Recompute = true
	if got := train.DeviceBytes(large, s); got > 8e9 {
		t.Errorf("1024×24: %.2f GB", float64(got)/1e9)
	}
}

// TestNoAllocation: after the first step the host's memory stays as it is.
func TestNoAllocation(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		l := backends[0].learner(t, r.Config, referenceShape(r), r.Weights)
		tokens := batchOf(r.Tokens...)
		step := func() {
			l.Step(1e-3, tokens.inputs, tokens.targets)
			if _, err := l.Results(); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(5, step); n > 0 {
			t.Errorf("%s: %v allocations a step", name, n)
		}
	}
}
