package op

// Copy copies N elements of Src, from SrcOffset on, to DstOffset of Dst, both F32 or both U32.
type Copy[T any] struct {
	Dst, Src                T
	DstOffset, SrcOffset, N int
}

// Name implements Op.
func (o *Copy[T]) Name() string { return "Copy" }

// Args implements Op.
func (o *Copy[T]) Args(v Visitor[T]) {
	v.Arg("source", Reads, &o.Src, v.Shape(o.Src)...)
	v.Arg("destination", Updates, &o.Dst, v.Shape(o.Dst)...)
}

// Zero fills X, F32 or U32, with zeros.
type Zero[T any] struct{ X T }

// Name implements Op.
func (o *Zero[T]) Name() string { return "Zero" }

// Args implements Op.
func (o *Zero[T]) Args(v Visitor[T]) { v.Arg("x", Writes, &o.X, v.Shape(o.X)...) }
