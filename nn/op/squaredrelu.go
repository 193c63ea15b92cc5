package op

// SquaredReLU writes A (n, H) = relu(gate)² ⊙ up, where GateUp (n, 2H) holds gate beside up (arXiv 2109.08668; BitNet 2B4T).
type SquaredReLU[T any] struct{ A, GateUp T }

// Name implements Op.
func (o *SquaredReLU[T]) Name() string { return "SquaredReLU" }

// Args implements Op.
func (o *SquaredReLU[T]) Args(v Visitor[T]) {
	n, H := rows(v, o.A)
	v.Arg("gate and up", Reads, &o.GateUp, n, 2*H)
	v.Arg("a", Writes, &o.A, n, H)
}

// SquaredReLUBackward writes DGateUp (n, 2H) from DA (n, H): 2·relu(gate)·up ⊙ da beside relu(gate)² ⊙ da.
type SquaredReLUBackward[T any] struct{ DGateUp, DA, GateUp T }

// Name implements Op.
func (o *SquaredReLUBackward[T]) Name() string { return "SquaredReLUBackward" }

// Args implements Op.
func (o *SquaredReLUBackward[T]) Args(v Visitor[T]) {
	n, H := rows(v, o.DA)
	v.Arg("da", Reads, &o.DA, n, H)
	v.Arg("gate and up", Reads, &o.GateUp, n, 2*H)
	v.Arg("dgate and dup", Writes, &o.DGateUp, n, 2*H)
}
