package train_test

import (
	"math"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
)

// TestDropout: every backend drops the same, with and without computing blocks again, and only while it trains.
func TestDropout(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		s := referenceShape(r)
		s.Dropout, s.Seed, s.Batch, s.Accumulate = 0.2, 5, 1, s.Batch
		scalar := backends[1].learner(t, r.Config, s, r.Weights)
		want := take(t, scalar, 1e-3, batchOf(r.Tokens...))
		onEach(t, func(t *testing.T, b backend) {
			for _, recompute := range []bool{false, true} {
				s.Recompute = recompute
				l := b.learner(t, r.Config, s, r.Weights)
				before := evaluation(t, l, r.Tokens[0])
				got := take(t, l, 1e-3, batchOf(r.Tokens...))
				if d := math.Abs(float64(got.Loss - want.Loss)); d > b.tolerance {
					t.Errorf("%s: got loss %v, want %v", name, got.Loss, want.Loss)
				}
				compare(t, r.Config, name+" gradient", gradients(t, l), gradients(t, scalar), b.tolerance)
				plain := s
				plain.Dropout = 0
				whole := b.learner(t, r.Config, plain, r.Weights)
				if v := evaluation(t, whole, r.Tokens[0]); v != before {
					t.Errorf("%s: %v nats evaluated without dropout, %v with it", name, v, before)
				}
				if take(t, whole, 1e-3, batchOf(r.Tokens...)).Loss == got.Loss {
					t.Errorf("%s: nothing was dropped", name)
				}
			}
		})
	}
}

func evaluation(t *testing.T, l learner, tokens []uint32) float64 {
	t.Helper()
	v, err := l.Evaluate(slice(tokens), nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.Nats
}

// TestDropoutGradient: along the gradient of the embedding, which goes through all that is dropped, the loss changes by
// its squared length. The second step drops other activations.
func TestDropoutGradient(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		s := referenceShape(r)
		s.Dropout, s.Seed = 0.2, 5
		loss := func(w *nn.Weights[op.HostTensor]) (float64, *nn.Weights[op.HostTensor]) {
			l, err := train.NewLearner(cpu.NewScalar[float64](), r.Config, s, w)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Release()
			first := take(t, l, 0, batchOf(r.Tokens...)).Loss
			g := gradients(t, l)
			if take(t, l, 0, batchOf(r.Tokens...)).Loss == first {
				t.Errorf("%s: the next step drops the same", name)
			}
			return float64(first), g
		}
		_, g := loss(r.Weights)
		length := 0.0
		for _, x := range g.Embed().F32 {
			length += float64(x) * float64(x)
		}
		length = math.Sqrt(length)
		const step = 1e-2
		moved := func(by float64) float64 {
			w := clone(r.Config, r.Weights)
			for i := range w.Embed().F32 {
				w.Embed().F32[i] += float32(by * float64(g.Embed().F32[i]) / length)
			}
			f, _ := loss(w)
			return f
		}
		if slope := (moved(step) - moved(-step)) / (2 * step); math.Abs(slope-length) > 1e-2*length {
			t.Errorf("%s: the loss changes by %v along a gradient of length %v", name, slope, length)
		}
	}
}
