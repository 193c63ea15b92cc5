package layer

import "bitgpu/nn/op"

// GatedDelta is the gated delta rule of Qwen3.5 (arXiv 2412.06464): a memory that decays, used instead of attention.
type GatedDelta[T any] struct {
	Width, KeyHeads, Heads, KeyWidth, ValueWidth, Taps int // D, K, V, k, v
	Eps                                                float64
	Rotation                                           int // as in Attention
	Chunk                                              int // tokens between the states kept for Backward

	Project, B, A, Output            Projection[T] // (2Kk+2Vv, D), (V, D), (V, D), (D, Vv)
	Norm, Conv, Decay, Bias, OutNorm T             // (D), (2Kk+Vv, taps), (V), (V), (v)
	InSigns, OutSigns                T             // (D), (Vv)

	X, Projected, BRows, ARows, QKV, Out T // (n, D), (n, 2Kk+2Vv), (n, V), (n, V), (n, 2Kk+Vv), (n, Vv)
	Plain, Starts                        T // (n, D) the input of B and A, equal to X unless X is rotated; (B, chunks, V, v, k)

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
	l.Project.declare(d, linear([]int{channels + inner, D}, "linear_attn.in_proj_qkv.weight", "linear_attn.in_proj_z.weight"),
		op.LowRankBlock{Rows: channels, Group: 0}, op.LowRankBlock{Rows: inner, Group: 1})
	l.B.declare(d, linear([]int{l.Heads, D}, "linear_attn.in_proj_b.weight"), op.LowRankBlock{Rows: l.Heads})
	l.A.declare(d, linear([]int{l.Heads, D}, "linear_attn.in_proj_a.weight"), op.LowRankBlock{Rows: l.Heads})
	d.Param(&l.Conv, Param{Names: []string{"linear_attn.conv1d.weight"}, Shape: []int{channels, l.Taps}, Kind: Gain, Init: Constant(1)})
	d.Param(&l.Decay, Param{Names: []string{"linear_attn.decay"}, Shape: []int{l.Heads}, Kind: Gain, Log: true, Init: Constant(-1)})
	d.Param(&l.Bias, gain("linear_attn.dt_bias", l.Heads))
	d.Param(&l.OutNorm, gain("linear_attn.norm.weight", l.ValueWidth))
	if l.Rotation > 0 {
		d.Param(&l.OutSigns, fixed("linear_attn.out_proj.signs", inner))
	}
	l.Output.declare(d, linear([]int{D, inner}, "linear_attn.out_proj.weight"), op.LowRankBlock{Rows: D})
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
	p.Add(&op.RMSNorm[T]{X: l.Plain, H: s.In, Gain: l.Norm, Eps: l.Eps})
	l.B.forward(p, l.BRows, l.Plain)
	l.A.forward(p, l.ARows, l.Plain)
	if l.Rotation > 0 {
		p.Add(&op.Hadamard[T]{Y: l.X, X: l.Plain, Signs: l.InSigns, Block: l.Rotation})
	}
	l.Project.forward(p, l.Projected, l.X)
	p.Add(&op.GatedDelta[T]{
		O: l.Out, U: l.Projected, B: l.BRows, A: l.ARows, Conv: l.Conv, Decay: l.Decay, Bias: l.Bias, Gain: l.OutNorm,
		State: l.State, Tail: l.Tail, QKV: l.QKV, Starts: l.Starts, Slots: l.Slots, Documents: l.Documents, KeyHeads: l.KeyHeads, Chunk: l.Chunk, Eps: l.Eps,
	})
	rotate(p, l.Out, l.OutSigns, l.Rotation)
	l.Output.add(p, s.Out, s.In, l.Out)
}

// Backward implements Layer. The products overwrite the gradient of the normalised input,
// so the norm's backward, which adds, runs once after each of them.
func (l *GatedDelta[T]) Backward(p *op.Program[T], grad Layer[T], s Stream[T]) {
	g := grad.(*GatedDelta[T])
	l.Output.backward(p, &g.Output, g.Out, s.DH, l.Out)
	rotateBack(p, g.Out, l.OutSigns, l.Rotation)
	p.Add(&op.GatedDeltaBackward[T]{
		DU: g.Projected, DB: g.BRows, DA: g.ARows, DGain: g.OutNorm, DConv: g.Conv, DBias: g.Bias, DLogDecay: g.Decay, DO: g.Out,
		U: l.Projected, B: l.BRows, A: l.ARows, Conv: l.Conv, Decay: l.Decay, Bias: l.Bias, Gain: l.OutNorm, QKV: l.QKV,
		Starts: l.Starts, Documents: l.Documents, KeyHeads: l.KeyHeads, Chunk: l.Chunk, Eps: l.Eps,
	})
	l.Project.backward(p, &g.Project, g.X, g.Projected, l.X)
	rotateBack(p, g.X, l.InSigns, l.Rotation)
	norm := &op.RMSNormBackward[T]{DH: s.DH, DGain: g.Norm, DX: g.X, H: s.In, Gain: l.Norm, Eps: l.Eps}
	p.Add(norm)
	l.B.backward(p, &g.B, g.X, g.BRows, l.Plain)
	p.Add(norm)
	l.A.backward(p, &g.A, g.X, g.ARows, l.Plain)
	p.Add(norm)
}
