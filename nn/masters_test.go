package nn_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/cpu"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
	"bitgpu/nn/train"

	"github.com/x448/float16"
)

// masters are float masters of the weights of randomDecoder, and the configuration that has them.
func masters(d *arch.Decoder, w *nn.Weights[op.HostTensor]) (nn.Config, *nn.Weights[op.HostTensor]) {
	with := *d
	with.Masters = &arch.Masters{Group: 32, Tables: true, Gates: true}
	if d.Int8 {
		with.Masters = &arch.Masters{}
	}
	c := nn.OfDecoder(&with)
	return c, nn.MapWeights(c, w, func(p nn.Param, h op.HostTensor) op.HostTensor {
		if h.Format != op.Ternary {
			return h
		}
		f := op.HostTensor{Format: op.F32, Shape: h.Shape, F32: make([]float32, op.Count(h.Shape))}
		ternary.Unpack(f.F32, h.Codes, h.Shape[0], h.Shape[1])
		for i := range f.F32 {
			if h.Group > 0 {
				f.F32[i] *= float16.Frombits(h.GroupScales[i/h.Group]).Float32()
			} else {
				f.F32[i] *= h.Scales[0]
			}
		}
		return f
	})
}

// eachMasters are the families whose masters can be trained.
func eachMasters(t *testing.T, check func(t *testing.T, c nn.Config, packed, w *nn.Weights[op.HostTensor])) {
	eachDecoder(t, func(t *testing.T, d *arch.Decoder, packed *nn.Weights[op.HostTensor]) {
		if d.Rotation > 0 {
			t.Skip("stored for turned inputs")
		}
		c, w := masters(d, packed)
		check(t, c, packed, w)
	})
}

// Masters that were made of ternary weights with scales of groups become the same weights again: before the first step a
// training measures what the model does, to the bit on the reference: the engine may take weights that are loaded packed in an
// order of the processor's, which adds otherwise.
func TestMastersOfGroupsBeginExactly(t *testing.T) {
	eachMasters(t, func(t *testing.T, c nn.Config, packed, w *nn.Weights[op.HostTensor]) {
		if c.Decoder.Masters.Group == 0 {
			t.Skip("one γ a matrix")
		}
		again := c.Packed(w)
		for i, p := range nn.Params(c) {
			if a, b := (*again)[i], (*packed)[i]; p.Kind != layer.Gain && (!slices.Equal(a.Codes, b.Codes) || !slices.Equal(a.GroupScales, b.GroupScales)) {
				t.Errorf("%s became other weights", p.Names[0])
			}
		}
		const batch, time = 1, 20
		ids := slice(configTokens(3*time, c, 4))
		l := trainer(t, cpu.NewScalar[float32](), c, w, train.Shape{Batch: batch, Time: time, Accumulate: 1})
		got, err := l.Evaluate(ids, nil)
		if err != nil {
			t.Fatal(err)
		}
		plain := *c.Decoder
		plain.Masters = nil
		m, err := nn.NewModel(cpu.NewScalar[float32](), nn.OfDecoder(&plain), packed)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Release()
		e, err := train.NewEvaluator(m, batch, time)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Release()
		if want, err := e.Evaluate(ids, nil); err != nil || got != want {
			t.Errorf("the training measures %v, want %v as the model (%v)", got, want, err)
		}
	})
}

// The engine's gradients of all masters are the reference's. Where inputs are rounded to int8, rounding goes either way, and
// they are held to another program's.
func TestMasterGradients(t *testing.T) {
	eachMasters(t, func(t *testing.T, c nn.Config, _, w *nn.Weights[op.HostTensor]) {
		if c.Decoder.Int8 {
			t.Skip("its inputs are rounded")
		}
		shape := train.Shape{Batch: 2, Time: 11, Accumulate: 1, Chunk: 4}
		inputs, targets := configTokens(22, c, 1), configTokens(22, c, 2)
		got, want := masterGradients(t, cpu.New(), c, w, shape, inputs, targets), masterGradients(t, cpu.NewScalar[float64](), c, w, shape, inputs, targets)
		for i, p := range nn.Params(c) {
			if p.Fixed {
				continue
			}
			off, size := 0.0, 0.0
			for j, x := range want[i] {
				off, size = off+math.Pow(float64(got[i][j]-x), 2), size+math.Pow(float64(x), 2)
			}
			if off = math.Sqrt(off / size); size == 0 || !(off < 1e-4) {
				t.Errorf("%s: off by %g, want 1e-4", p.Names[0], off)
			}
		}
	})
}

func masterGradients[T any](t *testing.T, b op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], s train.Shape, inputs, targets []uint32) (all [][]float32) {
	l := trainer(t, b, c, w, s)
	stepLoss(t, l, 0, inputs, targets)
	g, err := l.Gradients()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range *g {
		all = append(all, slices.Clone(h.F32))
	}
	return all
}

// Training brings the loss down, leaves what has no gradient, goes on from its parts to the bit, and what it reads back runs.
func TestMastersTraining(t *testing.T) {
	eachMasters(t, func(t *testing.T, c nn.Config, _, w *nn.Weights[op.HostTensor]) {
		const batch, time, steps = 2, 20, 6
		inputs, targets := configTokens(batch*time, c, 1), configTokens(batch*time, c, 2)
		shape := train.Shape{Batch: batch, Time: time, Accumulate: 1, WeightDecay: 0.1}
		l := trainer(t, cpu.New(), c, w, shape)
		var losses []float64
		for range steps {
			losses = append(losses, stepLoss(t, l, 5e-3, inputs, targets))
		}
		if !(losses[steps-1] < losses[0]-0.1) {
			t.Errorf("the losses are %v, want them to fall", losses)
		}
		other := trainer(t, cpu.New(), c, w, shape)
		for _, part := range []train.Part{train.FirstMoments, train.SecondMoments, train.Masters} {
			values, err := l.Download(part)
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Restore(part, values); err != nil {
				t.Fatal(err)
			}
		}
		trained, err := l.Download(train.Masters)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range nn.Params(c) {
			if same := slices.Equal((*trained)[i].F32, (*w)[i].F32); same != p.Fixed {
				t.Errorf("%s is what it was: %v, want %v", p.Names[0], same, p.Fixed)
			}
		}
		m, err := nn.NewModel(cpu.New(), c, trained)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Release()
		e, err := train.NewEvaluator(m, batch, time)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Release()
		got, err := e.Evaluate(slice(inputs), nil)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := l.Evaluate(slice(inputs), nil); err != nil || got.Tokens != want.Tokens || !(math.Abs(got.Nats-want.Nats) <= 1e-6*want.Nats) {
			t.Errorf("the model measures %v, want %v as the training (%v)", got, want, err)
		}
		other.SetUpdates(steps)
		for range 2 {
			if got, want := stepLoss(t, other, 1e-3, inputs, targets), stepLoss(t, l, 1e-3, inputs, targets); got != want {
				t.Errorf("the resumed training gave %v, want %v", got, want)
			}
		}
	})
}

// The gradients of an adapter inside the quantiser are those of the merged masters taken through B·A, and what was learned is
// what the merged masters measure.
func TestAdapterInsideQuantizer(t *testing.T) {
	eachMasters(t, func(t *testing.T, c nn.Config, _, w *nn.Weights[op.HostTensor]) {
		shape := train.Shape{Batch: 1, Time: 14, Accumulate: 1}
		inputs, targets := configTokens(14, c, 1), configTokens(14, c, 2)
		with := c
		with.Adapter = stirred(train.NewAdapter(c, 2, 4, func(name string) bool { return !strings.HasSuffix(name, "k_proj.weight") }, 1), 3)
		with.Adapter.Inside = true
		if _, err := nn.NewModel(cpu.New(), with, w); err == nil {
			t.Error("a model takes an adapter inside the quantiser that was not merged, want an error")
		}
		l := trainer(t, cpu.New(), with, w, shape)
		loss := stepLoss(t, l, 0, inputs, targets)
		got, err := l.Gradients()
		if err != nil {
			t.Fatal(err)
		}
		merged := with.Adapter.Merged(c, w)
		dW := masterGradients(t, cpu.New(), c, merged, shape, inputs, targets)
		at := map[string]int{}
		for i, p := range nn.Params(c) {
			at[p.Names[0]] = i
		}
		params, scale := nn.AdapterParams(with), float64(with.Adapter.Scale)
		for i := 0; i < len(params); i += 2 {
			A, B, K, r := with.Adapter.Weights[i].F32, with.Adapter.Weights[i+1].F32, params[i].Shape[1], params[i+1].Shape[1]
			dA, dB, g := make([]float64, len(A)), make([]float64, len(B)), dW[at[params[i].Names[0]]]
			first := 0
			for _, b := range params[i].Blocks {
				for o := first; o < first+b.Rows && b.Group >= 0; o++ {
					for j := range r {
						for k := range K {
							d := scale * float64(g[o*K+k])
							dB[o*r+j] += d * float64(A[(b.Group*r+j)*K+k])
							dA[(b.Group*r+j)*K+k] += d * float64(B[o*r+j])
						}
					}
				}
				first += b.Rows
			}
			for side, want := range [][]float64{dA, dB} {
				off, size := 0.0, 0.0
				for j, x := range want {
					off, size = off+math.Pow(float64((*got)[i+side].F32[j])-x, 2), size+x*x
				}
				if off = math.Sqrt(off / size); !(off < 1e-4) {
					t.Errorf("%v, side %d: the gradient is off by %g", params[i].Names, side, off)
				}
			}
		}
		for range 5 {
			stepLoss(t, l, 2e-2, inputs, targets)
		}
		a, err := l.Adapter()
		if err != nil {
			t.Fatal(err)
		}
		after := stepLoss(t, trainer(t, cpu.New(), c, a.Merged(c, w), shape), 0, inputs, targets)
		if again := stepLoss(t, l, 0, inputs, targets); math.Abs(again-after) > 2e-3 || !(after < loss-0.02) {
			t.Errorf("the loss went from %v to %v, and is %v with merged masters, want less and the same", loss, again, after)
		}
	})
}
