package layer

import "bitgpu/nn/op"

// GatedDelta is the gated delta rule of Qwen3.5 (arXiv 2412.06464): a memory with a decay, in place of attention.
type GatedDelta[T any] struct {
	Width, KeyHeads, Heads, KeyWidth, ValueWidth, Taps int // D, K, V, k, v
	Eps                                                float64
	Rotation                                           int // as in Attention

	Norm, Project, B, A, Conv, Decay, Bias, OutNorm, Output T // (D), (2Kk+2Vv, D), (V, D), (V, D), (2Kk+Vv, taps), (V), (V), (v), (D, Vv)
	InSigns, OutSigns                                       T // (D), (Vv)

	X, Projected, BRows, ARows, Mixed, Out T // (n, D), (n, 2Kk+2Vv), (n, V), (n, V), (n, 2Kk+Vv), (n, Vv)

	State, Tail T // (B, V, v, k), (B, taps−1, 2Kk+Vv)
}

// Declare implements Layer.
func (l *GatedDelta[T]) Declare(d Declarer[T]) {
	D, inner := l.Width, l.Heads*l.ValueWidth
	channels := 2*l.KeyHeads*l.KeyWidth + inner
	d.Param(&l.Norm, gain("norm1.weight", D))
	if l.Rotation > 0 {
		d.Param(&l.InSigns, gain("norm1.signs", D))
	}
	d.Param(&l.Project, linear([]int{channels + inner, D}, "linear_attn.in_proj_qkv.weight", "linear_attn.in_proj_z.weight"))
	d.Param(&l.B, linear([]int{l.Heads, D}, "linear_attn.in_proj_b.weight"))
	d.Param(&l.A, linear([]int{l.Heads, D}, "linear_attn.in_proj_a.weight"))
	d.Param(&l.Conv, Param{Names: []string{"linear_attn.conv1d.weight"}, Shape: []int{channels, l.Taps}, Kind: Gain})
	d.Param(&l.Decay, gain("linear_attn.decay", l.Heads))
	d.Param(&l.Bias, gain("linear_attn.dt_bias", l.Heads))
	d.Param(&l.OutNorm, gain("linear_attn.norm.weight", l.ValueWidth))
	if l.Rotation > 0 {
		d.Param(&l.OutSigns, gain("linear_attn.out_proj.signs", inner))
	}
	d.Param(&l.Output, linear([]int{D, inner}, "linear_attn.out_proj.weight"))
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{D}})
	d.Rows(&l.Projected, Rows{Name: "projected", Shape: []int{channels + inner}})
	d.Rows(&l.BRows, Rows{Name: "b", Shape: []int{l.Heads}})
	d.Rows(&l.ARows, Rows{Name: "a", Shape: []int{l.Heads}})
	d.Rows(&l.Mixed, Rows{Name: "mixed", Shape: []int{channels}})
	d.Rows(&l.Out, Rows{Name: "out", Shape: []int{inner}})
	d.State(&l.State, State{Name: "state", Shape: []int{l.Heads, l.ValueWidth, l.KeyWidth}})
	d.State(&l.Tail, State{Name: "conv", Shape: []int{l.Taps - 1, channels}})
}

// Forward implements Layer. B and A are stored for the input as it is.
func (l *GatedDelta[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(
		&op.RMSNorm[T]{X: l.X, H: s.In, Gain: l.Norm, Eps: l.Eps},
		&op.Linear[T]{Y: l.BRows, X: l.X, W: l.B},
		&op.Linear[T]{Y: l.ARows, X: l.X, W: l.A},
	)
	rotate(p, l.X, l.InSigns, l.Rotation)
	p.Add(
		&op.Linear[T]{Y: l.Projected, X: l.X, W: l.Project},
		&op.GatedDelta[T]{
			O: l.Out, U: l.Projected, B: l.BRows, A: l.ARows, Conv: l.Conv, Decay: l.Decay, Bias: l.Bias, Gain: l.OutNorm,
			State: l.State, Tail: l.Tail, Mixed: l.Mixed, KeyHeads: l.KeyHeads, Eps: l.Eps,
		},
	)
	rotate(p, l.Out, l.OutSigns, l.Rotation)
	p.Add(&op.Linear[T]{Y: s.Out, Addend: s.In, X: l.Out, W: l.Output})
}

// Backward implements Layer. Public models are run and not trained as yet.
func (l *GatedDelta[T]) Backward(*op.Program[T], Layer[T], Stream[T]) {
	panic("layer: GatedDelta has no backward")
}
