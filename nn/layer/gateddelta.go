package layer

import "bitgpu/nn/op"

// GatedDelta is the gated delta rule of Qwen3.5 (arXiv 2412.06464): a memory that decays, used instead of attention.
type GatedDelta[T any] struct {
	Width, KeyHeads, Heads, KeyWidth, ValueWidth, Taps int // D, K, V, k, v
	Eps                                                float64
	Rotation                                           int // as in Attention
	Chunk                                              int // tokens between the states kept for Backward

	Norm, Project, B, A, Conv, Decay, Bias, OutNorm, Output T // (D), (2Kk+2Vv, D), (V, D), (V, D), (2Kk+Vv, taps), (V), (V), (v), (D, Vv)
	InSigns, OutSigns                                       T // (D), (Vv)

	X, Projected, BRows, ARows, QKV, Out T // (n, D), (n, 2Kk+2Vv), (n, V), (n, V), (n, 2Kk+Vv), (n, Vv)
	Plain, Starts                        T // (n, D) the input of B and A, equal to X unless X is rotated; (B, chunks, V, v, k)

	ProjectAdapter, BAdapter, AAdapter, OutputAdapter Adapter[T]

	State, Tail, Slots, Documents T // (S, V, v, k), (S, taps−1, 2Kk+Vv), (B) or none, (n, 2) or none
}

// Declare implements Layer.
func (l *GatedDelta[T]) Declare(d Declarer[T]) {
	D, inner := l.Width, l.Heads*l.ValueWidth
	channels := 2*l.KeyHeads*l.KeyWidth + inner
	d.Param(&l.Norm, gain("norm1.weight", D))
	if l.Rotation > 0 {
		d.Param(&l.InSigns, fixed("norm1.signs", D))
	}
	project := linear([]int{channels + inner, D}, "linear_attn.in_proj_qkv.weight", "linear_attn.in_proj_z.weight")
	d.Param(&l.Project, project)
	d.Adapter(&l.ProjectAdapter, project, op.LowRankBlock{Rows: channels, Group: 0}, op.LowRankBlock{Rows: inner, Group: 1})
	adapted(d, &l.B, &l.BAdapter, linear([]int{l.Heads, D}, "linear_attn.in_proj_b.weight"))
	adapted(d, &l.A, &l.AAdapter, linear([]int{l.Heads, D}, "linear_attn.in_proj_a.weight"))
	d.Param(&l.Conv, Param{Names: []string{"linear_attn.conv1d.weight"}, Shape: []int{channels, l.Taps}, Kind: Gain, Init: Constant(1)})
	d.Param(&l.Decay, Param{Names: []string{"linear_attn.decay"}, Shape: []int{l.Heads}, Kind: Gain, Log: true, Init: Constant(-1)})
	d.Param(&l.Bias, gain("linear_attn.dt_bias", l.Heads))
	d.Param(&l.OutNorm, gain("linear_attn.norm.weight", l.ValueWidth))
	if l.Rotation > 0 {
		d.Param(&l.OutSigns, fixed("linear_attn.out_proj.signs", inner))
	}
	adapted(d, &l.Output, &l.OutputAdapter, linear([]int{D, inner}, "linear_attn.out_proj.weight"))
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{D}, Gradient: true})
	if l.Plain = l.X; l.Rotation > 0 {
		d.Rows(&l.Plain, Rows{Name: "plain", Shape: []int{D}})
	}
	d.Rows(&l.Projected, Rows{Name: "projected", Shape: []int{channels + inner}, Gradient: true})
	d.Rows(&l.BRows, Rows{Name: "b", Shape: []int{l.Heads}, Gradient: true})
	d.Rows(&l.ARows, Rows{Name: "a", Shape: []int{l.Heads}, Gradient: true})
	d.Rows(&l.QKV, Rows{Name: "qkv", Shape: []int{channels}})
	d.Rows(&l.Out, Rows{Name: "out", Shape: []int{inner}, Gradient: true})
	d.Rows(&l.Starts, Rows{Name: "starts", Shape: []int{l.Heads, l.ValueWidth, l.KeyWidth}, Chunks: true})
	d.State(&l.State, State{Name: "state", Shape: []int{l.Heads, l.ValueWidth, l.KeyWidth}})
	d.State(&l.Tail, State{Name: "conv", Shape: []int{l.Taps - 1, channels}})
	d.Shared(&l.Slots, Slots)
	d.Shared(&l.Documents, Documents)
}

// Forward implements Layer. The matrices of B and A take the input before rotation.
func (l *GatedDelta[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(
		&op.RMSNorm[T]{X: l.Plain, H: s.In, Gain: l.Norm, Eps: l.Eps},
		&op.Linear[T]{Y: l.BRows, X: l.Plain, W: l.B},
		&op.Linear[T]{Y: l.ARows, X: l.Plain, W: l.A},
	)
	l.BAdapter.forward(p, l.BRows, l.Plain)
	l.AAdapter.forward(p, l.ARows, l.Plain)
	if l.Rotation > 0 {
		p.Add(&op.Hadamard[T]{Y: l.X, X: l.Plain, Signs: l.InSigns, Block: l.Rotation})
	}
	p.Add(&op.Linear[T]{Y: l.Projected, X: l.X, W: l.Project})
	l.ProjectAdapter.forward(p, l.Projected, l.X)
	p.Add(&op.GatedDelta[T]{
		O: l.Out, U: l.Projected, B: l.BRows, A: l.ARows, Conv: l.Conv, Decay: l.Decay, Bias: l.Bias, Gain: l.OutNorm,
		State: l.State, Tail: l.Tail, QKV: l.QKV, Starts: l.Starts, Slots: l.Slots, Documents: l.Documents, KeyHeads: l.KeyHeads, Chunk: l.Chunk, Eps: l.Eps,
	})
	rotate(p, l.Out, l.OutSigns, l.Rotation)
	p.Add(&op.Linear[T]{Y: s.Out, Addend: s.In, X: l.Out, W: l.Output})
	l.OutputAdapter.forward(p, s.Out, l.Out)
}

// Backward implements Layer. The products overwrite the gradient of the normalised input,
// so the norm's backward, which adds, runs once after each of them.
func (l *GatedDelta[T]) Backward(p *op.Program[T], grad Layer[T], s Stream[T]) {
	g := grad.(*GatedDelta[T])
	p.Add(&op.LinearBackward[T]{DX: g.Out, DW: g.Output, DY: s.DH, X: l.Out, W: l.Output})
	l.OutputAdapter.backward(p, &g.OutputAdapter, g.Out, s.DH, l.Out)
	rotateBack(p, g.Out, l.OutSigns, l.Rotation)
	p.Add(
		&op.GatedDeltaBackward[T]{
			DU: g.Projected, DB: g.BRows, DA: g.ARows, DGain: g.OutNorm, DConv: g.Conv, DBias: g.Bias, DLogDecay: g.Decay, DO: g.Out,
			U: l.Projected, B: l.BRows, A: l.ARows, Conv: l.Conv, Decay: l.Decay, Bias: l.Bias, Gain: l.OutNorm, QKV: l.QKV,
			Starts: l.Starts, Documents: l.Documents, KeyHeads: l.KeyHeads, Chunk: l.Chunk, Eps: l.Eps,
		},
		&op.LinearBackward[T]{DX: g.X, DW: g.Project, DY: g.Projected, X: l.X, W: l.Project},
	)
	l.ProjectAdapter.backward(p, &g.ProjectAdapter, g.X, g.Projected, l.X)
	rotateBack(p, g.X, l.InSigns, l.Rotation)
	norm := &op.RMSNormBackward[T]{DH: s.DH, DGain: g.Norm, DX: g.X, H: s.In, Gain: l.Norm, Eps: l.Eps}
	p.Add(norm, &op.LinearBackward[T]{DX: g.X, DW: g.B, DY: g.BRows, X: l.Plain, W: l.B})
	l.BAdapter.backward(p, &g.BAdapter, g.X, g.BRows, l.Plain)
	p.Add(norm, &op.LinearBackward[T]{DX: g.X, DW: g.A, DY: g.ARows, X: l.Plain, W: l.A})
	l.AAdapter.backward(p, &g.AAdapter, g.X, g.ARows, l.Plain)
	p.Add(norm)
}
