package layer

import "bitgpu/nn/op"

// SwiGLU is a gated MLP: Down(silu(gate) ⊙ up), or what a family has in its place. The zero values of all but the widths
// are those of our own models.
type SwiGLU[T any] struct {
	Width, Hidden int     // D, H
	Eps           float64 // of the norms, 0: op.NormEps
	Squared       bool    // relu(gate)² in place of silu(gate)
	SubNormed     bool    // a norm before Down
	Int8          bool    // as in Attention
	Rotation      int     // as in Attention

	Norm, GateUp, Down T // (D), (2H, D), (D, H)
	SubNorm            T // (H)
	InSigns, OutSigns  T // (D), (H)

	X, Gated, Act, Normed T // (n, D), (n, 2H) gate beside up, (n, H), (n, H) behind the norm

	GateUpAdapter, DownAdapter Adapter[T]
}

// Declare implements Layer.
func (l *SwiGLU[T]) Declare(d Declarer[T]) {
	D, H := l.Width, l.Hidden
	d.Param(&l.Norm, gain("norm2.weight", D))
	if l.Rotation > 0 {
		d.Param(&l.InSigns, gain("norm2.signs", D))
	}
	adapted(d, &l.GateUp, &l.GateUpAdapter, linear([]int{2 * H, D}, "mlp.gate_proj.weight", "mlp.up_proj.weight"))
	if l.SubNormed {
		d.Param(&l.SubNorm, gain("mlp.sub_norm.weight", H))
	}
	if l.Rotation > 0 {
		d.Param(&l.OutSigns, gain("mlp.down_proj.signs", H))
	}
	adapted(d, &l.Down, &l.DownAdapter, linear([]int{D, H}, "mlp.down_proj.weight"))
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{D}, Gradient: true})
	d.Rows(&l.Gated, Rows{Name: "gate and up", Shape: []int{2 * H}, Gradient: true})
	d.Rows(&l.Act, Rows{Name: "act", Shape: []int{H}, Gradient: true})
	if l.Normed = l.Act; l.SubNormed {
		d.Rows(&l.Normed, Rows{Name: "normed act", Shape: []int{H}, Gradient: true})
	}
}

// Forward implements Layer.
func (l *SwiGLU[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(&op.RMSNorm[T]{X: l.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
	rotate(p, l.X, l.InSigns, l.Rotation)
	p.Add(&op.Linear[T]{Y: l.Gated, X: l.X, W: l.GateUp, Int8: l.Int8})
	l.GateUpAdapter.forward(p, l.Gated, l.X)
	if l.Squared {
		p.Add(&op.SquaredReLU[T]{A: l.Act, GateUp: l.Gated})
	} else {
		p.Add(&op.SwiGLU[T]{A: l.Act, GateUp: l.Gated})
	}
	if l.SubNormed {
		p.Add(&op.RMSNorm[T]{X: l.Normed, H: l.Act, Gain: l.SubNorm, Eps: l.Eps})
	}
	rotate(p, l.Normed, l.OutSigns, l.Rotation)
	s.Dropout.Append(p, l.Normed)
	p.Add(&op.Linear[T]{Y: s.Out, Addend: s.In, X: l.Normed, W: l.Down, Int8: l.Int8})
	l.DownAdapter.forward(p, s.Out, l.Normed)
}

// Backward implements Layer.
func (l *SwiGLU[T]) Backward(p *op.Program[T], grad Layer[T], s Stream[T]) {
	g := grad.(*SwiGLU[T])
	p.Add(&op.LinearBackward[T]{DX: g.Normed, DW: g.Down, DY: s.DH, X: l.Normed, W: l.Down})
	l.DownAdapter.backward(p, &g.DownAdapter, g.Normed, s.DH, l.Normed)
	s.Dropout.Append(p, g.Normed)
	rotateBack(p, g.Normed, l.OutSigns, l.Rotation)
	if l.SubNormed {
		p.Add(&op.Zero[T]{X: g.Act}, &op.RMSNormBackward[T]{DH: g.Act, DGain: g.SubNorm, DX: g.Normed, H: l.Act, Gain: l.SubNorm, Eps: l.Eps})
	}
	if l.Squared {
		p.Add(&op.SquaredReLUBackward[T]{DGateUp: g.Gated, DA: g.Act, GateUp: l.Gated})
	} else {
		p.Add(&op.SwiGLUBackward[T]{DGateUp: g.Gated, DA: g.Act, GateUp: l.Gated})
	}
	p.Add(&op.LinearBackward[T]{DX: g.X, DW: g.GateUp, DY: g.Gated, X: l.X, W: l.GateUp})
	l.GateUpAdapter.backward(p, &g.GateUpAdapter, g.X, g.Gated, l.X)
	rotateBack(p, g.X, l.InSigns, l.Rotation)
	p.Add(&op.RMSNormBackward[T]{DH: s.DH, DGain: g.Norm, DX: g.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
}
