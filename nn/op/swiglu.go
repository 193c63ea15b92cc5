package op

// SwiGLU writes A (n, H) = silu(gate) ⊙ up, where GateUp (n, 2H) holds gate beside up.
type SwiGLU[T any] struct{ A, GateUp T }

// Name implements Op.
func (o *SwiGLU[T]) Name() string { return "SwiGLU" }

// Args implements Op.
func (o *SwiGLU[T]) Args(v Visitor[T]) {
	n, H := rows(v, o.A)
	v.Arg("gate and up", Reads, &o.GateUp, n, 2*H)
	v.Arg("a", Writes, &o.A, n, H)
}

// SwiGLUBackward writes DGateUp (n, 2H) from DA (n, H).
type SwiGLUBackward[T any] struct{ DGateUp, DA, GateUp T }

// Name implements Op.
func (o *SwiGLUBackward[T]) Name() string { return "SwiGLUBackward" }

// Args implements Op.
func (o *SwiGLUBackward[T]) Args(v Visitor[T]) {
	n, H := rows(v, o.DA)
	v.Arg("da", Reads, &o.DA, n, H)
	v.Arg("gate and up", Reads, &o.GateUp, n, 2*H)
	v.Arg("dgate and dup", Writes, &o.DGateUp, n, 2*H)
}
