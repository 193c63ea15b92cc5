package layer

import "bitgpu/nn/op"

// SwiGLU is a gated MLP: Down(silu(gate) ⊙ up).
type SwiGLU[T any] struct {
	Width, Hidden int // D, H

	Norm, GateUp, Down T // (D), (2H, D), (D, H)

	X, Gated, Act T // (n, D), (n, 2H) gate beside up, (n, H)
}

// Declare implements Layer.
func (l *SwiGLU[T]) Declare(d Declarer[T]) {
	D, H := l.Width, l.Hidden
	d.Param(&l.Norm, gain("norm2.weight", D))
	d.Param(&l.GateUp, linear([]int{2 * H, D}, "mlp.gate_proj.weight", "mlp.up_proj.weight"))
	d.Param(&l.Down, linear([]int{D, H}, "mlp.down_proj.weight"))
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{D}, Gradient: true})
	d.Rows(&l.Gated, Rows{Name: "gate and up", Shape: []int{2 * H}, Gradient: true})
	d.Rows(&l.Act, Rows{Name: "act", Shape: []int{H}, Gradient: true})
}

// Forward implements Layer.
func (l *SwiGLU[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(
		&op.RMSNorm[T]{X: l.X, H: s.In, Gain: l.Norm},
		&op.Linear[T]{Y: l.Gated, X: l.X, W: l.GateUp},
		&op.SwiGLU[T]{A: l.Act, GateUp: l.Gated},
	)
	s.Dropout.Append(p, l.Act)
	p.Add(&op.Linear[T]{Y: s.Out, Addend: s.In, X: l.Act, W: l.Down})
}

// Backward implements Layer.
func (l *SwiGLU[T]) Backward(p *op.Program[T], grad Layer[T], s Stream[T]) {
	g := grad.(*SwiGLU[T])
	p.Add(&op.LinearBackward[T]{DX: g.Act, DW: g.Down, DY: s.DH, X: l.Act, W: l.Down})
	s.Dropout.Append(p, g.Act)
	p.Add(
		&op.SwiGLUBackward[T]{DGateUp: g.Gated, DA: g.Act, GateUp: l.Gated},
		&op.LinearBackward[T]{DX: g.X, DW: g.GateUp, DY: g.Gated, X: l.X, W: l.GateUp},
		&op.RMSNormBackward[T]{DH: s.DH, DGain: g.Norm, DX: g.X, H: s.In, Gain: l.Norm},
	)
}
