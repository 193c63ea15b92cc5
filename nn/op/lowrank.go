package op

// LowRankBlock describes consecutive rows of a product that have one adapter: group Group of A, −1 for none.
type LowRankBlock struct{ Rows, Group int }

// LowRank adds Scale·B(A·x) to the rows of Y (n, R) for the rows x of X (n, K): the low-rank adapter of a product (arXiv
// 2106.09685), computed in floats however the product rounds. The R rows of a product may come from several stacked matrices.
// Each block of them uses a group of r rows of A (g·r, K), which blocks may share, and its own rows of B (R, r). Low (n, g·r)
// receives A·x. Y is optional: an adapter inside the quantiser (LowRankMerge) only needs Low. Int8 rounds x first, as Linear
// does.
type LowRank[T any] struct {
	Y, X, A, B, Low T
	Blocks          []LowRankBlock
	Scale           float32
	Int8            bool
}

// Name implements Op.
func (o *LowRank[T]) Name() string { return "LowRank" }

// Args implements Op.
func (o *LowRank[T]) Args(v Visitor[T]) {
	n, K := rows(v, o.X)
	r, of := axis(v, o.B, 1), axis(v, o.A, 0)
	R, groups := lowRankSizes(o.Blocks)
	v.Arg("x", Reads, &o.X, n, K)
	v.Arg("a", Reads, &o.A, groups*r, K)
	v.Arg("b", Reads, &o.B, R, r)
	v.Arg("low", Writes, &o.Low, n, of)
	v.Arg("y", Updates|Optional, &o.Y, n, R)
}

// lowRankSizes returns the rows of all blocks and the number of groups.
func lowRankSizes(blocks []LowRankBlock) (R, groups int) {
	for _, b := range blocks {
		R, groups = R+b.Rows, max(groups, b.Group+1)
	}
	return R, groups
}

// LowRankBackward is the backward of LowRank: from DY (n, R) it adds to DX (n, K), DA (g·r, K) and DB (R, r). DLow (n, g·r)
// receives the gradient of Low.
//
//	DLow = Scale·DY·B    DB += Scale·DYᵀ·Low    DA += DLowᵀ·X    DX += DLow·A
//
// DX is optional; Int8 is as in LowRank.
type LowRankBackward[T any] struct {
	DX, DA, DB, DLow, DY, X, A, B, Low T
	Blocks                             []LowRankBlock
	Scale                              float32
	Int8                               bool
}

// LowRankMerge writes W (R, K) = Base + Scale·B·A: the masters of a product whose adapter is inside the quantiser.
type LowRankMerge[T any] struct {
	W, Base, A, B T
	Blocks        []LowRankBlock
	Scale         float32
}

// Name implements Op.
func (o *LowRankMerge[T]) Name() string { return "LowRankMerge" }

// Args implements Op.
func (o *LowRankMerge[T]) Args(v Visitor[T]) {
	_, K := rows(v, o.W)
	R, groups := lowRankSizes(o.Blocks)
	r := axis(v, o.B, 1)
	v.Arg("base", Reads, &o.Base, R, K)
	v.Arg("a", Reads, &o.A, groups*r, K)
	v.Arg("b", Reads, &o.B, R, r)
	v.Arg("w", Writes, &o.W, R, K)
}

// Name implements Op.
func (o *LowRankBackward[T]) Name() string { return "LowRankBackward" }

// Args implements Op.
func (o *LowRankBackward[T]) Args(v Visitor[T]) {
	n, K := rows(v, o.X)
	r, of := axis(v, o.B, 1), axis(v, o.A, 0)
	R, groups := lowRankSizes(o.Blocks)
	v.Arg("dy", Reads, &o.DY, n, R)
	v.Arg("x", Reads, &o.X, n, K)
	v.Arg("a", Reads, &o.A, groups*r, K)
	v.Arg("b", Reads, &o.B, R, r)
	v.Arg("low", Reads, &o.Low, n, of)
	v.Arg("dlow", Writes, &o.DLow, n, of)
	v.Arg("da", Updates, &o.DA, groups*r, K)
	v.Arg("db", Updates, &o.DB, R, r)
	v.Arg("dx", Updates|Optional, &o.DX, n, K)
}
