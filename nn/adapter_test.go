package nn_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
)

func everywhere(string) bool { return true }

// adaptable are configurations with weights: the families, and our own mixers.
func adaptable(t *testing.T, check func(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor])) {
	eachDecoder(t, func(t *testing.T, d *arch.Decoder, w *nn.Weights[op.HostTensor]) { check(t, nn.OfDecoder(d), w) })
	for name, c := range map[string]nn.Config{
		"tied":      {Vocab: 40, Width: 32, Layers: 2, InnerLR: 0.5, WeightScale: nn.ScaleAbsmean},
		"delta":     {Vocab: 40, Width: 32, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 24, Heads: 3},
		"tied head": {Vocab: 40, Width: 32, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 24, Heads: 3, TiedHead: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.WithDefaults()
			check(t, c, optest.RandomWeights(c, 3))
		})
	}
}

// withWhole adds all norms and tables that can be trained to an adapter, moved away from the model's.
func withWhole(a *nn.Adapter, c nn.Config, w *nn.Weights[op.HostTensor], moved float64) *nn.Adapter {
	first, rng := len(a.Weights), rand.New(rand.NewPCG(8, 9))
	train.AddWhole(a, c, w, everywhere)
	for _, h := range a.Weights[first:] {
		for j := range h.F32 {
			h.F32[j] += float32(moved * rng.NormFloat64())
		}
	}
	return a
}

// stirred fills B too, so that all gradients live.
func stirred(a *nn.Adapter, seed uint64) *nn.Adapter {
	rng := rand.New(rand.NewPCG(seed, 9))
	for i := 1; i < len(a.Weights); i += 2 {
		for j := range a.Weights[i].F32 {
			a.Weights[i].F32[j] = float32(0.1 * rng.NormFloat64())
		}
	}
	return a
}

func configTokens(n int, c nn.Config, seed uint64) []uint32 {
	return randomTokens(n, &arch.Decoder{Vocab: c.Vocab}, seed)
}

// logitsOf reads tokens at once and one by one.
func logitsOf[T any](t *testing.T, b op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], ids []uint32, piece int) []float32 {
	t.Helper()
	m, err := nn.NewModel(b, c, w)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return readLogits(t, s, ids, piece)
}

// An adapter whose B is zero gives the model's logits to the bit; another gives other logits, in pieces of any length.
func TestAdapterOfZerosChangesNothing(t *testing.T) {
	adaptable(t, func(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor]) {
		ids := configTokens(40, c, 5)
		for _, piece := range []int{1, 40} {
			want := logitsOf(t, cpu.New(), c, w, ids, piece)
			with := c
			with.Adapter = train.NewAdapter(c, 3, 6, everywhere, 1)
			if got := logitsOf(t, cpu.New(), with, w, ids, piece); !slices.Equal(got, want) {
				t.Errorf("pieces of %d: off by %g, want the same to the bit", piece, distance(got, want))
			}
			whole := c
			whole.Adapter = withWhole(train.NewAdapter(c, 3, 6, everywhere, 1), c, w, 0)
			if off := distance(logitsOf(t, cpu.New(), whole, w, ids, piece), want); off > 1e-4 { // tables are added up in another format
				t.Errorf("pieces of %d: off by %g with norms and tables of its own", piece, off)
			}
			withWhole(stirred(with.Adapter, 2), c, w, 0.05)
			got := logitsOf(t, cpu.New(), with, w, ids, piece)
			if off := distance(got, want); off < 1e-3 {
				t.Errorf("pieces of %d: the adapter changes %g, want more", piece, off)
			}
			if d := c.Decoder; d == nil || !d.Int8 && !d.HalfCache {
				if off := distance(got, logitsOf(t, cpu.NewScalar[float64](), with, w, ids, 40)); off > 5e-5 {
					t.Errorf("pieces of %d: off by %g from the reference", piece, off)
				}
			}
		}
	})
}

// trainer makes a learner of an adapter.
func trainer[T any](t *testing.T, b op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], s train.Shape) *train.Learner[T] {
	t.Helper()
	l, err := train.NewLearner(b, c, s, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return l
}

func stepLoss(t *testing.T, l train.Trainer, rate float64, inputs, targets []uint32) float64 {
	t.Helper()
	l.Step(rate, inputs, targets)
	r, err := l.Results()
	if err != nil {
		t.Fatal(err)
	}
	return float64(r[len(r)-1].Loss)
}

// Along the gradient of each A and B of a whole model, and of its norms and tables, its loss changes by the square of the gradient, in float64. Where
// inputs are rounded to int8 the loss has steps, and the gradients are held to another program's.
func TestAdapterGradientOfWholeModels(t *testing.T) {
	adaptable(t, func(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor]) {
		if c.Decoder != nil && c.Decoder.Int8 {
			t.Skip("its inputs are rounded")
		}
		c.Adapter = withWhole(stirred(train.NewAdapter(c, 2, 4, everywhere, 1), 3), c, w, 0.05)
		const batch, time = 2, 11
		inputs, targets := configTokens(batch*time, c, 1), configTokens(batch*time, c, 2)
		l := trainer(t, cpu.NewScalar[float64](), c, w, train.Shape{Batch: batch, Time: time, Accumulate: 1, Chunk: 4})
		stepLoss(t, l, 0, inputs, targets)
		found, err := l.Gradients()
		if err != nil {
			t.Fatal(err)
		}
		var gradients [][]float32
		for _, g := range *found {
			gradients = append(gradients, slices.Clone(g.F32))
		}
		for i, p := range nn.AdapterParams(c) {
			square := 0.0
			for _, g := range gradients[i] {
				square += float64(g) * float64(g)
			}
			if square == 0 {
				t.Fatalf("%s: no gradient", p.Names[0])
			}
			h := 0.02 / square // a change of the loss that float32 shows
			h = min(h, 0.05/math.Sqrt(square))
			at := func(by float64) float64 {
				moved := nn.Weights[op.HostTensor](slices.Clone(c.Adapter.Weights))
				moved[i].F32 = slices.Clone(moved[i].F32)
				for j, g := range gradients[i] {
					moved[i].F32[j] += float32(by * float64(g))
				}
				if err := l.Restore(train.Masters, &moved); err != nil {
					t.Fatal(err)
				}
				return stepLoss(t, l, 0, inputs, targets)
			}
			got := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
			if bound := 1e-2*square + 1e-6/h; math.Abs(got-square) > bound {
				t.Errorf("%s (B %v): the loss changes by %g, want %g", p.Names[0], p.B, got, square)
			}
		}
	})
}

// Training brings the loss down, is the same whatever the number of threads, with and without computing blocks again but for
// rounding, and goes on from its parts to the bit; the model's weights stay.
func TestAdapterTraining(t *testing.T) {
	defer parallel.SetWorkers(0)
	adaptable(t, func(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor]) {
		c.Adapter = withWhole(train.NewAdapter(c, 4, 8, everywhere, 1), c, w, 0)
		const batch, time, steps = 2, 40, 8
		inputs, targets := configTokens(batch*time, c, 1), configTokens(batch*time, c, 2)
		shape := train.Shape{Batch: batch, Time: time, Accumulate: 1}
		run := func(threads int, s train.Shape) (losses []float64, l *train.Learner[*cpu.Tensor[float32]]) {
			parallel.SetWorkers(threads)
			l = trainer(t, cpu.New(), c, w, s)
			for range steps {
				losses = append(losses, stepLoss(t, l, 1e-2, inputs, targets))
			}
			return losses, l
		}
		one, l := run(1, shape)
		if !(one[steps-1] < one[0]-0.1) {
			t.Errorf("the loss went from %v to %v, want less", one[0], one[steps-1])
		}
		if three, _ := run(3, shape); !slices.Equal(three, one) {
			t.Errorf("three threads gave %v, want %v", three, one)
		}
		shape.Recompute = true
		if again, _ := run(2, shape); !slices.Equal(again, one) {
			t.Errorf("computing blocks again gave %v, want %v", again, one)
		}
		shape.Recompute = false
		// The learner goes on; another takes up its parts.
		other := trainer(t, cpu.New(), c, w, shape)
		for _, part := range []train.Part{train.Masters, train.FirstMoments, train.SecondMoments} {
			values, err := l.Download(part)
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Restore(part, values); err != nil {
				t.Fatal(err)
			}
		}
		other.SetUpdates(steps)
		for range 3 {
			if got, want := stepLoss(t, other, 1e-2, inputs, targets), stepLoss(t, l, 1e-2, inputs, targets); got != want {
				t.Errorf("the resumed training gave %v, want %v", got, want)
			}
		}
		a, err := l.Adapter()
		if err != nil {
			t.Fatal(err)
		}
		with := c
		with.Adapter = a
		e, err := l.Evaluate(slice(inputs), nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := nn.NewModel(cpu.New(), with, w)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Release()
		evaluator, err := train.NewEvaluator(m, batch, time)
		if err != nil {
			t.Fatal(err)
		}
		defer evaluator.Release()
		saved, err := evaluator.Evaluate(slice(inputs), nil)
		if err != nil || saved != e {
			t.Errorf("the adapter measures %v (%v) in a model, want %v as in the training", saved, err, e)
		}
	})
}

type slice []uint32

func (s slice) Len() int { return len(s) }

func (s slice) CopyTo(dst []uint32, from int) (int, error) { return copy(dst, s[from:]), nil }

// What cannot be trained is refused in a sentence.
func TestAdapterRefusals(t *testing.T) {
	d := decoders()["llama"]
	c, w := nn.OfDecoder(d), randomDecoder(d, 1)
	if _, err := train.NewLearner(cpu.New(), c, train.Shape{Batch: 1, Time: 4, Accumulate: 1}, w); err == nil {
		t.Error("all weights of a public model: want an error")
	}
	c.Adapter = train.NewAdapter(c, 2, 4, everywhere, 1)
	if _, err := train.NewLearner(cpu.New(), c, train.Shape{Batch: 1, Time: d.Context + 1, Accumulate: 1}, w); err == nil {
		t.Error("rows beyond the context: want an error")
	}
}
