package layer

import "bitgpu/nn/op"

// Attention is softmax attention with a cache of keys and values: grouped heads, rotary positions and, in families that have
// them, norms of queries and keys, and a gate or a norm on the heads' output.
type Attention[T any] struct {
	Width, Heads, KVHeads, HeadWidth int // D, H, G, c
	Eps                              float64
	HeadNorms, Gated, SubNormed      bool
	Half                             bool // keys and values are kept in float16
	Rotation                         int  // block size of the Hadamard transform that the matrices expect of their inputs, 0: none

	QKV, Output                 Projection[T] // (H·c+2·G·c [+H·c gates], D), (D, H·c)
	Norm, QNorm, KNorm, SubNorm T             // (D), (c), (c), (H·c)
	InSigns, OutSigns           T             // (D), (H·c)

	X, Projected, Heard T // (n, D), (n, as QKV), (n, H·c)
	RawHeard, Raw       T // (n, H·c) before the norm, (n, (H+G)·c) before norms and rotation; for Backward only

	Keys, Values, Position, Angles, Slots, Documents T // (S, L, G·c), (S, L, G·c), (S), (L, R), (B), (n, 2) or none
}

// Declare implements Layer.
func (l *Attention[T]) Declare(d Declarer[T]) {
	D, inner, kv := l.Width, l.Heads*l.HeadWidth, l.KVHeads*l.HeadWidth
	names, wide := []string{"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"}, inner+2*kv
	blocks := []op.LowRankBlock{{Rows: inner, Group: 0}, {Rows: kv, Group: 1}, {Rows: kv, Group: 2}}
	if l.Gated { // files store the gates in the matrix of the queries
		names, wide, blocks = append(names, "self_attn.gate_proj.weight"), wide+inner, append(blocks, blocks[0])
	}
	d.Param(&l.Norm, gain("norm1.weight", D))
	if l.Rotation > 0 {
		d.Param(&l.InSigns, fixed("norm1.signs", D))
	}
	l.QKV.declare(d, linear([]int{wide, D}, names...), blocks...)
	if l.HeadNorms {
		d.Param(&l.QNorm, gain("self_attn.q_norm.weight", l.HeadWidth))
		d.Param(&l.KNorm, gain("self_attn.k_norm.weight", l.HeadWidth))
	}
	if l.SubNormed {
		d.Param(&l.SubNorm, gain("self_attn.sub_norm.weight", inner))
	}
	if l.Rotation > 0 {
		d.Param(&l.OutSigns, fixed("self_attn.o_proj.signs", inner))
	}
	l.Output.declare(d, linear([]int{D, inner}, "self_attn.o_proj.weight"), op.LowRankBlock{Rows: D})
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{D}, Gradient: true})
	d.Rows(&l.Projected, Rows{Name: "projected", Shape: []int{wide}, Gradient: true})
	d.Rows(&l.Heard, Rows{Name: "out", Shape: []int{inner}, Gradient: true})
	if l.SubNormed {
		d.Rows(&l.RawHeard, Rows{Name: "raw out", Shape: []int{inner}, Kept: true, Gradient: true})
	}
	if l.HeadNorms {
		d.Rows(&l.Raw, Rows{Name: "raw", Shape: []int{inner + kv}, Kept: true})
	}
	d.State(&l.Keys, State{Name: "key", Shape: []int{kv}, Grows: true, Half: l.Half})
	d.State(&l.Values, State{Name: "value", Shape: []int{kv}, Grows: true, Half: l.Half})
	d.Shared(&l.Position, Position)
	d.Shared(&l.Angles, Angles)
	d.Shared(&l.Slots, Slots)
	d.Shared(&l.Documents, Documents)
}

// Forward implements Layer.
func (l *Attention[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(&op.RMSNorm[T]{X: l.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
	rotate(p, l.X, l.InSigns, l.Rotation)
	l.QKV.forward(p, l.Projected, l.X)
	p.Add(
		&op.RoPE[T]{
			QKV: l.Projected, QGain: l.QNorm, KGain: l.KNorm, Angles: l.Angles, Position: l.Position, Keys: l.Keys, Values: l.Values,
			Raw: l.Raw, Slots: l.Slots, Documents: l.Documents, Heads: l.Heads, KVHeads: l.KVHeads, Eps: l.Eps,
		},
		&op.Attention[T]{
			O: l.Heard, QKV: l.Projected, Keys: l.Keys, Values: l.Values, Position: l.Position, Slots: l.Slots, Documents: l.Documents,
			Heads: l.Heads, KVHeads: l.KVHeads, Gate: l.Gated,
		},
	)
	if l.SubNormed {
		p.Add(&op.RMSNorm[T]{X: l.Heard, H: l.Heard, Kept: l.RawHeard, Gain: l.SubNorm, Eps: l.Eps})
	}
	rotate(p, l.Heard, l.OutSigns, l.Rotation)
	l.Output.add(p, s.Out, s.In, l.Heard)
}

// Backward implements Layer. Every sequence must have begun with an empty cache.
func (l *Attention[T]) Backward(p *op.Program[T], grad Layer[T], s Stream[T]) {
	g := grad.(*Attention[T])
	l.Output.backward(p, &g.Output, g.Heard, s.DH, l.Heard)
	rotateBack(p, g.Heard, l.OutSigns, l.Rotation)
	do := g.Heard
	if l.SubNormed {
		do = g.RawHeard
		p.Add(&op.Zero[T]{X: do}, &op.RMSNormBackward[T]{DH: do, DGain: g.SubNorm, DX: g.Heard, H: l.RawHeard, Gain: l.SubNorm, Eps: l.Eps})
	}
	p.Add(
		&op.AttentionBackward[T]{
			DQKV: g.Projected, DO: do, QKV: l.Projected, Keys: l.Keys, Documents: l.Documents, Heads: l.Heads, KVHeads: l.KVHeads, Gate: l.Gated,
		},
		&op.RoPEBackward[T]{
			DQKV: g.Projected, DQGain: g.QNorm, DKGain: g.KNorm, Raw: l.Raw, QGain: l.QNorm, KGain: l.KNorm, Angles: l.Angles, Position: l.Position, Keys: l.Keys,
			Documents: l.Documents, Heads: l.Heads, KVHeads: l.KVHeads, Eps: l.Eps,
		},
	)
	l.QKV.backward(p, &g.QKV, g.X, g.Projected, l.X)
	rotateBack(p, g.X, l.InSigns, l.Rotation)
	p.Add(&op.RMSNormBackward[T]{DH: s.DH, DGain: g.Norm, DX: g.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
}

// rotateBack is the backward of rotate, in place on the gradient dx.
func rotateBack[T any](p *op.Program[T], dx, signs T, block int) {
	if block > 0 {
		p.Add(&op.Hadamard[T]{Y: dx, X: dx, Signs: signs, Block: block, Inverse: true})
	}
}

// rotate applies the Hadamard transform that the next matrix expects to x, in place; a block of 0 means no transform.
func rotate[T any](p *op.Program[T], x, signs T, block int) {
	if block > 0 {
		p.Add(&op.Hadamard[T]{Y: x, X: x, Signs: signs, Block: block})
	}
}
