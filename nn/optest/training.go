package optest

import (
	"fmt"
	"math"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// tape is a model in training in its simplest form: everything is kept, and nothing is shared.
type tape[T any] struct {
	ops                   op.Executor[T]
	c                     nn.Config
	master, m, v, dw      *nn.Weights[T] // float32
	loss, hyper           T
	inputs, targets       T
	hostInputs, hostGoals []uint32
	backward, update      op.Prepared
}

func newTape[T any](ops op.Executor[T], r *Reference, scan op.Scan) (*tape[T], error) {
	c := r.Config
	t := &tape[T]{ops: ops, c: c}
	B, time := len(r.Tokens), len(r.Tokens[0])-1
	for _, row := range r.Tokens {
		t.hostInputs = append(t.hostInputs, row[:time]...)
		t.hostGoals = append(t.hostGoals, row[1:]...)
	}
	n := B * time
	zeros := func(p nn.Param, _ op.HostTensor) T { return ops.New(op.F32, p.Shape...) }
	t.master = nn.MapWeights(c, r.Weights, func(_ nn.Param, h op.HostTensor) T { return ops.Load(h) })
	t.m, t.v, t.dw = nn.MapWeights(c, r.Weights, zeros), nn.MapWeights(c, r.Weights, zeros), nn.MapWeights(c, r.Weights, zeros)
	var p, clear op.Program[T]
	use := nn.MapWeights(c, t.master, func(w nn.Param, master T) T {
		if w.Kind != layer.Linear {
			return master
		}
		q := ops.NewTernary(w.Shape[0], w.Shape[1], len(w.Names), c.WeightScale == nn.ScaleAbsmean)
		p.Add(&op.Quantize[T]{Q: q, W: master})
		return q
	})
	t.loss, t.hyper = ops.New(op.F32, 1), ops.New(op.F32, op.HyperCount)
	t.inputs, t.targets = ops.New(op.U32, n), ops.New(op.U32, n)
	rows := func(_ nn.Place, r layer.Rows) T {
		if r.Chunks {
			return ops.New(op.F32, append([]int{B, (time + scan.Chunk - 1) / scan.Chunk}, r.Shape...)...)
		}
		return ops.New(op.F32, append([]int{n}, r.Shape...)...)
	}
	net := nn.NewNet[T](c, scan).Bind(nn.Binding[T]{Param: inTurn(*use), Rows: rows, State: func(_ nn.Place, s layer.State) T {
		state := ops.New(op.F32, append([]int{B}, s.Shape...)...)
		clear.Add(&op.Zero[T]{X: state})
		return state
	}})
	grad := nn.NewNet[T](c, scan).Bind(nn.Binding[T]{Param: inTurn(*t.dw), Rows: rows})
	for _, g := range *t.dw {
		clear.Add(&op.Zero[T]{X: g})
	}
	dh, dx, x, logits := ops.New(op.F32, n, c.Width), ops.New(op.F32, n, c.Width), ops.New(op.F32, n, c.Width), ops.New(op.F32, n, c.Vocab)
	clear.Add(&op.Zero[T]{X: t.loss}, &op.Zero[T]{X: dh})
	p.Add(clear...)
	stream := ops.New(op.F32, n, c.Width)
	p.Add(&op.Embed[T]{H: stream, Table: net.Embed, Tokens: t.inputs})
	var streams [][]layer.Stream[T]
	for _, block := range net.Blocks {
		var of []layer.Stream[T]
		for _, l := range block {
			s := layer.Stream[T]{In: stream, Out: ops.New(op.F32, n, c.Width), DH: dh}
			l.Forward(&p, s)
			stream, of = s.Out, append(of, s)
		}
		streams = append(streams, of)
	}
	net.Logits(&p, logits, x, stream, 0, n)
	p.Add(
		&op.CrossEntropy[T]{Loss: t.loss, Logits: logits, Targets: t.targets, Scale: 1 / float32(n)},
		&op.HeadBackward[T]{DX: dx, DW: grad.Head, DLogits: logits, X: x, W: net.Head},
		&op.RMSNormBackward[T]{DH: dh, DGain: grad.Norm, DX: dx, H: stream, Gain: net.Norm},
	)
	for i := len(net.Blocks) - 1; i >= 0; i-- {
		for j := len(net.Blocks[i]) - 1; j >= 0; j-- {
			net.Blocks[i][j].Backward(&p, grad.Blocks[i][j], streams[i][j])
		}
	}
	p.Add(&op.EmbedBackward[T]{DTable: grad.Embed, DH: dh, Tokens: t.inputs})
	var err error
	if t.backward, err = ops.Prepare(p); err != nil {
		return nil, err
	}
	norm := ops.New(op.F32, 1)
	update := op.Program[T]{&op.Zero[T]{X: norm}}
	for _, g := range *t.dw {
		update.Add(&op.SumSquares[T]{Sum: norm, G: g})
	}
	for i, g := range *t.dw {
		update.Add(&op.AdamW[T]{W: (*t.master)[i], M: (*t.m)[i], V: (*t.v)[i], G: g, SumSquares: norm, Hyper: t.hyper})
	}
	t.update, err = ops.Prepare(update)
	return t, err
}

// inTurn hands out tensors one after the other.
func inTurn[T any](all []T) func(nn.Param) T {
	i := 0
	return func(nn.Param) T {
		i++
		return all[i-1]
	}
}

// gradients fills loss and dw.
func (t *tape[T]) gradients() {
	t.ops.WriteTokens(t.inputs, 0, t.hostInputs)
	t.ops.WriteTokens(t.targets, 0, t.hostGoals)
	t.backward.Run()
}

// adamw performs the step that the reference performed.
func (t *tape[T]) adamw(step int) {
	hyper := make([]float32, op.HyperCount)
	hyper[op.HyperLR], hyper[op.HyperBeta1], hyper[op.HyperBeta2] = 1e-3, 0.9, 0.999
	hyper[op.HyperEps], hyper[op.HyperDecay] = 1e-8, 0.01
	hyper[op.HyperCorrect1] = float32(1 - math.Pow(0.9, float64(step+1)))
	hyper[op.HyperCorrect2] = float32(1 - math.Pow(0.999, float64(step+1)))
	t.ops.Write(t.hyper, 0, hyper)
	t.update.Run()
}

// Training compares a backend's loss, gradients and three AdamW steps with the reference models.
func Training[T any](t *testing.T, ops op.Executor[T], tolerance float64) {
	for _, name := range ReferenceNames {
		for _, chunk := range []int{1, 16, 64} {
			if testing.Short() && chunk != 16 {
				continue
			}
			t.Run(fmt.Sprintf("%s/chunk%d", name, chunk), func(t *testing.T) {
				r := LoadReference(t, name)
				scan := r.Config.DefaultScan()
				scan.Chunk = chunk
				tape, err := newTape(ops, r, scan)
				check(t, err)
				var losses []float32
				for step := range 3 {
					tape.gradients()
					loss := make([]float32, 1)
					if err := ops.Download(tape.loss, 0, loss); err != nil {
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

func compareWeights[T any](t *testing.T, ops op.Executor[T], r *Reference, w *nn.Weights[T], prefix string, tolerance float64) {
	t.Helper()
	nn.Walk(r.Config, w, func(p nn.Param, x *T) {
		got := make([]float32, op.Count(p.Shape))
		if err := ops.Download(*x, 0, got); err != nil {
			t.Fatal(err)
		}
		closeTo(t, prefix+p.Names[0], got, r.ExpectParam(t, prefix, p), tolerance)
	})
}
