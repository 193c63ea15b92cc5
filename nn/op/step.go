package op

// StepSize writes Beta (n, h) = σ(X·Wᵀ + Bias) for X (n, D), W (h, D) and Bias (h): how far a head's memory moves
// towards each token's value.
type StepSize[T any] struct{ Beta, X, W, Bias T }

// Name implements Op.
func (o *StepSize[T]) Name() string { return "StepSize" }

// Args implements Op.
func (o *StepSize[T]) Args(v Visitor[T]) {
	n, D := rows(v, o.X)
	h := axis(v, o.W, 0)
	v.Arg("x", Reads, &o.X, n, D)
	v.Arg("weight", Reads, &o.W, h, D)
	v.Arg("bias", Reads, &o.Bias, h)
	v.Arg("beta", Writes, &o.Beta, n, h)
}

// StepSizeBackward is the backward of StepSize: from DBeta (n, h) it adds to DX (n, D), and to DW (h, D) and DBias (h), which
// are optional.
type StepSizeBackward[T any] struct{ DX, DW, DBias, DBeta, Beta, X, W T }

// Name implements Op.
func (o *StepSizeBackward[T]) Name() string { return "StepSizeBackward" }

// Args implements Op.
func (o *StepSizeBackward[T]) Args(v Visitor[T]) {
	n, D := rows(v, o.X)
	h := axis(v, o.W, 0)
	v.Arg("dbeta", Reads, &o.DBeta, n, h)
	v.Arg("beta", Reads, &o.Beta, n, h)
	v.Arg("x", Reads, &o.X, n, D)
	v.Arg("weight", Reads, &o.W, h, D)
	v.Arg("dx", Updates, &o.DX, n, D)
	v.Arg("dw", Updates|Optional, &o.DW, h, D)
	v.Arg("dbias", Updates|Optional, &o.DBias, h)
}
