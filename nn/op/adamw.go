package op

// Indices into the Hyper tensor of AdamW. The numbers are in a tensor so that a prepared step can run again with other
// values.
const (
	HyperLR       = iota // learning rate
	HyperBeta1           // β₁
	HyperBeta2           // β₂
	HyperEps             // ε
	HyperDecay           // decoupled weight decay
	HyperCorrect1        // 1 − β₁^(step+1)
	HyperCorrect2        // 1 − β₂^(step+1)
	HyperClip            // largest norm of the gradient, 0: no limit
	HyperCount
)

// SumSquares adds Σ G² to Sum (1).
type SumSquares[T any] struct{ Sum, G T }

// Name implements Op.
func (o *SumSquares[T]) Name() string { return "SumSquares" }

// Args implements Op.
func (o *SumSquares[T]) Args(v Visitor[T]) {
	v.Arg("gradient", Reads, &o.G, v.Shape(o.G)...)
	v.Arg("sum", Updates, &o.Sum, 1)
}

// AdamW updates W with gradient G and moments M, V, all of one shape (arXiv 1711.05101). G is scaled down first where the
// norm √SumSquares exceeds the clip. Hyper (HyperCount) holds the numbers.
//
// With Log, what is trained is ln|W|, which G is the gradient of: a step multiplies W, whose sign stays, and there is no weight
// decay, since a W of ±1 is no better than any other.
type AdamW[T any] struct {
	W, M, V, G, SumSquares, Hyper T

	Log bool
}

// Name implements Op.
func (o *AdamW[T]) Name() string { return "AdamW" }

// Args implements Op.
func (o *AdamW[T]) Args(v Visitor[T]) {
	shape := v.Shape(o.W)
	v.Arg("gradient", Reads, &o.G, shape...)
	v.Arg("sum of squares", Reads, &o.SumSquares, 1)
	v.Arg("numbers", Reads, &o.Hyper, HyperCount)
	v.Arg("weight", Updates, &o.W, shape...)
	v.Arg("first moment", Updates, &o.M, shape...)
	v.Arg("second moment", Updates, &o.V, shape...)
}
