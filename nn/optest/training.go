package optest

import (
	"fmt"
	"math"
	"testing"

	"bitgpu/nn"
)

// tape is one model in training, in the plainest form: everything is kept, nothing is shared.
type tape[T any] struct {
	ops                   nn.Ops[T]
	c                     nn.Config
	scan                  nn.Scan
	B, time               int
	master, m, v, dw      *nn.Weights[T] // float32
	use                   *nn.Weights[T] // what forward reads: quantised where ternary
	loss, norm, hyper     T
	acts                  []*nn.Activations[T]
	states                *nn.State[T]
	grads                 *nn.Gradients[T]
	last, x, logits       T
	inputs, targets       T
	hostInputs, hostGoals []uint32
}

func newTape[T any](ops nn.Ops[T], r *Reference, scan nn.Scan) *tape[T] {
	c := r.Config
	t := &tape[T]{ops: ops, c: c, scan: scan, B: len(r.Tokens), time: len(r.Tokens[0]) - 1}
	for _, row := range r.Tokens {
		t.hostInputs = append(t.hostInputs, row[:t.time]...)
		t.hostGoals = append(t.hostGoals, row[1:]...)
	}
	n := t.B * t.time
	zeros := func(p nn.Param, _ nn.HostTensor) T { return ops.New(nn.F32, p.Shape...) }
	t.master = nn.MapWeights(c, r.Weights, func(_ nn.Param, h nn.HostTensor) T { return ops.Load(h) })
	t.m, t.v, t.dw = nn.MapWeights(c, r.Weights, zeros), nn.MapWeights(c, r.Weights, zeros), nn.MapWeights(c, r.Weights, zeros)
	t.use = nn.MapWeights(c, t.master, func(p nn.Param, w T) T {
		if p.Kind == nn.Linear {
			return ops.NewTernary(p.Shape[0], p.Shape[1], len(p.Names), c.WeightScale == nn.ScaleAbsmean)
		}
		return w
	})
	t.loss, t.norm, t.hyper = ops.New(nn.F32, 1), ops.New(nn.F32, 1), ops.New(nn.F32, nn.HyperCount)
	stream := ops.New(nn.F32, n, c.Width)
	for range c.Layers {
		a := nn.NewActivations(ops, c, n)
		a.In, a.Mid, a.Starts = stream, ops.New(nn.F32, n, c.Width), nn.NewStarts(ops, c, t.B, t.time, scan.Chunk)
		stream = ops.New(nn.F32, n, c.Width)
		t.acts = append(t.acts, a)
	}
	t.last, t.x, t.logits = stream, ops.New(nn.F32, n, c.Width), ops.New(nn.F32, n, c.Vocab)
	t.inputs, t.targets = ops.New(nn.U32, n), ops.New(nn.U32, n)
	t.states, t.grads = nn.NewState(ops, c, t.B), nn.NewGradients(ops, c, n)
	return t
}

// gradients fills loss and dw.
func (t *tape[T]) gradients() {
	ops, c := t.ops, t.c
	nn.Walk(c, t.dw, func(_ nn.Param, w *T) { ops.Zero(*w) })
	var masters []T
	nn.Walk(c, t.master, func(_ nn.Param, w *T) { masters = append(masters, *w) })
	i := 0
	nn.Walk(c, t.use, func(p nn.Param, q *T) {
		if p.Kind == nn.Linear {
			ops.Quantize(*q, masters[i])
		}
		i++
	})
	ops.Zero(t.loss)
	t.states.Zero(ops)
	ops.WriteTokens(t.inputs, 0, t.hostInputs)
	ops.WriteTokens(t.targets, 0, t.hostGoals)
	ops.Embed(t.acts[0].In, t.use.Embed, t.inputs)
	for i := range t.use.Layers {
		out := t.last
		if i+1 < len(t.acts) {
			out = t.acts[i+1].In
		}
		t.use.Layers[i].Forward(ops, c, &t.states.Layers[i], t.acts[i], out, t.scan)
	}
	ops.NormHead(t.logits, t.x, t.last, t.use.NormF, t.use.Head, 0)
	ops.CrossEntropy(t.loss, t.logits, t.targets, 0, 1/float32(t.B*t.time))
	ops.HeadBackward(t.grads.X, t.dw.Head, t.logits, t.x, t.use.Head, 0)
	ops.Zero(t.grads.H)
	ops.RMSNormBackward(t.grads.H, t.dw.NormF, t.grads.X, t.last, t.use.NormF)
	for i := len(t.acts) - 1; i >= 0; i-- {
		t.use.Layers[i].Backward(ops, c, &t.dw.Layers[i], t.acts[i], t.grads, t.scan)
	}
	ops.EmbedBackward(t.dw.Embed, t.grads.H, t.inputs)
}

// adamw takes the step that the reference took.
func (t *tape[T]) adamw(step int) {
	ops := t.ops
	ops.Zero(t.norm)
	nn.Walk(t.c, t.dw, func(_ nn.Param, g *T) { ops.SumSquares(t.norm, *g) })
	hyper := make([]float32, nn.HyperCount)
	hyper[nn.HyperLR], hyper[nn.HyperBeta1], hyper[nn.HyperBeta2] = 1e-3, 0.9, 0.999
	hyper[nn.HyperEps], hyper[nn.HyperDecay] = 1e-8, 0.01
	hyper[nn.HyperCorrect1] = float32(1 - math.Pow(0.9, float64(step+1)))
	hyper[nn.HyperCorrect2] = float32(1 - math.Pow(0.999, float64(step+1)))
	ops.Write(t.hyper, 0, hyper)
	var all [4][]T
	for i, w := range []*nn.Weights[T]{t.master, t.m, t.v, t.dw} {
		nn.Walk(t.c, w, func(_ nn.Param, x *T) { all[i] = append(all[i], *x) })
	}
	for i := range all[0] {
		ops.AdamW(all[0][i], all[1][i], all[2][i], all[3][i], t.norm, t.hyper)
	}
}

// Training holds a backend's loss, gradients and three AdamW steps against the reference models.
func Training[T any](t *testing.T, ops nn.Ops[T], tolerance float64) {
	for _, name := range ReferenceNames {
		for _, chunk := range []int{1, 16, 64} {
			t.Run(fmt.Sprintf("%s/chunk%d", name, chunk), func(t *testing.T) {
				r := LoadReference(t, name)
				scan := r.Config.DefaultScan()
				scan.Chunk = chunk
				tape := newTape(ops, r, scan)
				var losses []float32
				for step := range 3 {
					tape.gradients()
					loss := make([]float32, 1)
					if err := ops.Read(tape.loss, 0, loss); err != nil {
						t.Fatal(err)
					}
					losses = append(losses, loss[0])
					if step == 0 {
						closeTo(t, "loss", loss, r.Expect(t, "loss"), tolerance)
						compareWeights(t, ops, r, tape.dw, "grad.", tolerance)
					}
					tape.adamw(step)
				}
				closeTo(t, "losses of three steps", losses, r.Expect(t, "adamw.losses"), tolerance)
				compareWeights(t, ops, r, tape.master, "adamw.step3.", tolerance)
			})
		}
	}
}

func compareWeights[T any](t *testing.T, ops nn.Ops[T], r *Reference, w *nn.Weights[T], prefix string, tolerance float64) {
	t.Helper()
	nn.Walk(r.Config, w, func(p nn.Param, x *T) {
		got := make([]float32, nn.Count(p.Shape))
		if err := ops.Read(*x, 0, got); err != nil {
			t.Fatal(err)
		}
		closeTo(t, prefix+p.Names[0], got, r.ExpectParam(t, prefix, p), tolerance)
	})
}
