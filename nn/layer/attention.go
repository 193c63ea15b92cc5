package layer

import "bitgpu/nn/op"

// Attention is softmax attention with a cache of keys and values: grouped heads, rotary positions, and, where a family has
// them, norms of queries and keys, a gate or a norm of what the heads give.
type Attention[T any] struct {
	Width, Heads, KVHeads, HeadWidth int // D, H, G, c
	Eps                              float64
	HeadNorms, Gated, SubNormed      bool
	Int8                             bool // inputs of the products are rounded, see op.Linear
	Half                             bool // keys and values are kept in float16
	Rotation                         int  // block of the Hadamard transform that the matrices are stored for, 0: none

	Norm, QKV, QNorm, KNorm, SubNorm, Output T // (D), (H·c+2·G·c [+H·c gates], D), (c), (c), (H·c), (D, H·c)
	InSigns, OutSigns                        T // (D), (H·c)

	X, Projected, Heard T // (n, D), (n, as QKV), (n, H·c)

	Keys, Values, Position, Angles T // (B, L, G·c), (B, L, G·c), (1), (L, R)
}

// Declare implements Layer.
func (l *Attention[T]) Declare(d Declarer[T]) {
	D, inner, kv := l.Width, l.Heads*l.HeadWidth, l.KVHeads*l.HeadWidth
	names, wide := []string{"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"}, inner+2*kv
	if l.Gated {
		names, wide = append(names, "self_attn.gate_proj.weight"), wide+inner
	}
	d.Param(&l.Norm, gain("norm1.weight", D))
	if l.Rotation > 0 {
		d.Param(&l.InSigns, gain("norm1.signs", D))
	}
	d.Param(&l.QKV, linear([]int{wide, D}, names...))
	if l.HeadNorms {
		d.Param(&l.QNorm, gain("self_attn.q_norm.weight", l.HeadWidth))
		d.Param(&l.KNorm, gain("self_attn.k_norm.weight", l.HeadWidth))
	}
	if l.SubNormed {
		d.Param(&l.SubNorm, gain("self_attn.sub_norm.weight", inner))
	}
	if l.Rotation > 0 {
		d.Param(&l.OutSigns, gain("self_attn.o_proj.signs", inner))
	}
	d.Param(&l.Output, linear([]int{D, inner}, "self_attn.o_proj.weight"))
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{D}})
	d.Rows(&l.Projected, Rows{Name: "projected", Shape: []int{wide}})
	d.Rows(&l.Heard, Rows{Name: "out", Shape: []int{inner}})
	d.State(&l.Keys, State{Name: "key", Shape: []int{kv}, Grows: true, Half: l.Half})
	d.State(&l.Values, State{Name: "value", Shape: []int{kv}, Grows: true, Half: l.Half})
	d.Shared(&l.Position, Position)
	d.Shared(&l.Angles, Angles)
}

// Forward implements Layer.
func (l *Attention[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(&op.RMSNorm[T]{X: l.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
	rotate(p, l.X, l.InSigns, l.Rotation)
	p.Add(
		&op.Linear[T]{Y: l.Projected, X: l.X, W: l.QKV, Int8: l.Int8},
		&op.RoPE[T]{
			QKV: l.Projected, QGain: l.QNorm, KGain: l.KNorm, Angles: l.Angles, Position: l.Position, Keys: l.Keys, Values: l.Values,
			Heads: l.Heads, KVHeads: l.KVHeads, Eps: l.Eps,
		},
		&op.Attention[T]{
			O: l.Heard, QKV: l.Projected, Keys: l.Keys, Values: l.Values, Position: l.Position,
			Heads: l.Heads, KVHeads: l.KVHeads, Gate: l.Gated,
		},
	)
	if l.SubNormed {
		p.Add(&op.RMSNorm[T]{X: l.Heard, H: l.Heard, Gain: l.SubNorm, Eps: l.Eps})
	}
	rotate(p, l.Heard, l.OutSigns, l.Rotation)
	p.Add(&op.Linear[T]{Y: s.Out, Addend: s.In, X: l.Heard, W: l.Output, Int8: l.Int8})
}

// Backward implements Layer. Public models are run and not trained as yet.
func (l *Attention[T]) Backward(*op.Program[T], Layer[T], Stream[T]) {
	panic("layer: Attention has no backward")
}

// rotate turns x in place to the basis that the matrix behind it is stored for; with a block of 0 it does nothing.
func rotate[T any](p *op.Program[T], x, signs T, block int) {
	if block > 0 {
		p.Add(&op.Hadamard[T]{Y: x, X: x, Signs: signs, Block: block})
	}
}
