package op

// Linear writes Y (n, R) = Addend + s·X·Wᵀ for X (n, K) and a ternary W (R, K). The scale s is γ for absmean and 1 for none,
// or one scale per group of inputs of a row. Addend (n, R) is optional and may be Y itself. W may also be F32, F16 or BF16; s
// is then 1.
//
// Int8 first rounds each row x of X to round(x·t)/t with t = 127/max(max|x|, 1e-5) in float32, rounding to the nearest whole
// number and ties to even, as BitNet's models were trained (arXiv 2402.17764).
type Linear[T any] struct {
	Y, Addend, X, W T
	Int8            bool
}

// Name implements Op.
func (o *Linear[T]) Name() string { return "Linear" }

// Args implements Op.
func (o *Linear[T]) Args(v Visitor[T]) {
	n, K := rows(v, o.X)
	R := axis(v, o.W, 0)
	v.Arg("x", Reads, &o.X, n, K)
	v.Arg("weight", Reads, &o.W, R, K)
	v.Arg("addend", Reads|Optional, &o.Addend, n, R)
	v.Arg("y", Writes, &o.Y, n, R)
}

// LinearBackward is the backward of Y = s·X·Wᵀ, straight through the rounding of weights and inputs: it writes DX (n, K) =
// s·DY·Q and adds to DW (R, K), which is optional, (1/γ)·DYᵀX for scale none and DYᵀX otherwise. With Int8, X is rounded here
// too.
type LinearBackward[T any] struct {
	DX, DW, DY, X, W T
	Int8             bool
}

// Name implements Op.
func (o *LinearBackward[T]) Name() string { return "LinearBackward" }

// Args implements Op.
func (o *LinearBackward[T]) Args(v Visitor[T]) {
	n, K := rows(v, o.X)
	R := axis(v, o.W, 0)
	v.Arg("dy", Reads, &o.DY, n, R)
	v.Arg("x", Reads, &o.X, n, K)
	v.Arg("weight", Reads, &o.W, R, K)
	v.Arg("dx", Writes, &o.DX, n, K)
	v.Arg("dw", Updates|Optional, &o.DW, R, K)
}

// Quantize packs W (R, K) into the ternary Q (R, K). Where Q has scales of groups, each group is rounded by itself, as
// ternary.QuantizeGroup does. Otherwise each block of rows has its own γ. RowBlocks allows blocks of unequal height: Q then
// has one γ per row, equal within a block. HalfEven rounds as ternary.HalfEven says.
type Quantize[T any] struct {
	Q, W      T
	RowBlocks []int // rows of each block, R in total; nil: equal blocks, one per γ of Q
	HalfEven  bool
}

// Name implements Op.
func (o *Quantize[T]) Name() string { return "Quantize" }

// Args implements Op.
func (o *Quantize[T]) Args(v Visitor[T]) {
	R, K := rows(v, o.Q)
	v.Arg("w", Reads, &o.W, R, K)
	v.Arg("q", Writes, &o.Q, R, K)
}
