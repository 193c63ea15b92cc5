package op

// Head writes Logits (m, V) = X·Wᵀ for m rows of X (n, D), starting at row From. W (V, D) may have any format but U32.
type Head[T any] struct {
	Logits, X, W T
	From         int
}

// Name implements Op.
func (o *Head[T]) Name() string { return "Head" }

// Args implements Op.
func (o *Head[T]) Args(v Visitor[T]) {
	m, V := rows(v, o.Logits)
	n, D := rows(v, o.X)
	v.Arg("x", Reads, &o.X, max(n, o.From+m), D)
	v.Arg("weight", Reads, &o.W, V, D)
	v.Arg("logits", Writes, &o.Logits, m, V)
}

// HeadBackward is the backward of Logits = X·Wᵀ: it writes rows From… of DX (n, D) and adds to DW (V, D), which is optional.
type HeadBackward[T any] struct {
	DX, DW, DLogits, X, W T
	From                  int
}

// Name implements Op.
func (o *HeadBackward[T]) Name() string { return "HeadBackward" }

// Args implements Op.
func (o *HeadBackward[T]) Args(v Visitor[T]) {
	m, V := rows(v, o.DLogits)
	n, D := rows(v, o.X)
	v.Arg("dlogits", Reads, &o.DLogits, m, V)
	v.Arg("x", Reads, &o.X, max(n, o.From+m), D)
	v.Arg("weight", Reads, &o.W, V, D)
	v.Arg("dx", Updates, &o.DX, n, D)
	v.Arg("dw", Updates|Optional, &o.DW, V, D)
}
