package layer

import "bitgpu/nn/op"

// MLP is a gated MLP, Down(activation(gate) ⊙ up), with the variants that public families use. The zero values of all fields
// but the widths and the activation are right for our own models.
type MLP[T any] struct {
	Width, Hidden int     // D, H
	Eps           float64 // of the norms, 0: op.NormEps
	Activation    string  // one of Activations, "": the first
	SubNormed     bool    // a norm before Down
	Rotation      int     // as in Attention

	GateUp, Down      Projection[T] // (2H, D), (D, H)
	Norm, SubNorm     T             // (D), (H)
	InSigns, OutSigns T             // (D), (H)

	X, Gated, Act, Raw T // (n, D), (n, 2H) gate beside up, (n, H), (n, H) before the norm, for Backward only
}

// Declare implements Layer.
func (l *MLP[T]) Declare(d Declarer[T]) {
	D, H := l.Width, l.Hidden
	d.Param(&l.Norm, gain("norm2.weight", D))
	if l.Rotation > 0 {
		d.Param(&l.InSigns, fixed("norm2.signs", D))
	}
	l.GateUp.declare(d, linear([]int{2 * H, D}, "mlp.gate_proj.weight", "mlp.up_proj.weight"), op.LowRankBlock{Rows: H}, op.LowRankBlock{Rows: H, Group: 1})
	if l.SubNormed {
		d.Param(&l.SubNorm, gain("mlp.sub_norm.weight", H))
	}
	if l.Rotation > 0 {
		d.Param(&l.OutSigns, fixed("mlp.down_proj.signs", H))
	}
	l.Down.declare(d, linear([]int{D, H}, "mlp.down_proj.weight"), op.LowRankBlock{Rows: D})
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{D}, Gradient: true})
	d.Rows(&l.Gated, Rows{Name: "gate and up", Shape: []int{2 * H}, Gradient: true})
	d.Rows(&l.Act, Rows{Name: "act", Shape: []int{H}, Gradient: true})
	if l.SubNormed {
		d.Rows(&l.Raw, Rows{Name: "raw act", Shape: []int{H}, Kept: true, Gradient: true})
	}
}

// Forward implements Layer.
func (l *MLP[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(&op.RMSNorm[T]{X: l.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
	rotate(p, l.X, l.InSigns, l.Rotation)
	l.GateUp.forward(p, l.Gated, l.X)
	p.Add(l.activation().forward(l.Act, l.Gated))
	if l.SubNormed {
		p.Add(&op.RMSNorm[T]{X: l.Act, H: l.Act, Kept: l.Raw, Gain: l.SubNorm, Eps: l.Eps})
	}
	rotate(p, l.Act, l.OutSigns, l.Rotation)
	s.Dropout.Append(p, l.Act)
	l.Down.add(p, s.Out, s.In, l.Act)
}

// Backward implements Layer.
func (l *MLP[T]) Backward(p *op.Program[T], grad Layer[T], s Stream[T]) {
	g := grad.(*MLP[T])
	l.Down.backward(p, &g.Down, g.Act, s.DH, l.Act)
	s.Dropout.Append(p, g.Act)
	rotateBack(p, g.Act, l.OutSigns, l.Rotation)
	da := g.Act
	if l.SubNormed {
		da = g.Raw
		p.Add(&op.Zero[T]{X: da}, &op.RMSNormBackward[T]{DH: da, DGain: g.SubNorm, DX: g.Act, H: l.Raw, Gain: l.SubNorm, Eps: l.Eps})
	}
	p.Add(l.activation().backward(g.Gated, da, l.Gated))
	l.GateUp.backward(p, &g.GateUp, g.X, g.Gated, l.X)
	rotateBack(p, g.X, l.InSigns, l.Rotation)
	p.Add(&op.RMSNormBackward[T]{DH: s.DH, DGain: g.Norm, DX: g.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
}
