package op

// CopyColumns copies N columns of Src (n, V), from column SrcFrom on, to the columns of Dst (n, W) from DstFrom on, both F32.
type CopyColumns[T any] struct {
	Dst, Src            T
	DstFrom, SrcFrom, N int
}

// Name implements Op.
func (o *CopyColumns[T]) Name() string { return "CopyColumns" }

// Args implements Op.
func (o *CopyColumns[T]) Args(v Visitor[T]) {
	n, from := rows(v, o.Src)
	_, to := rows(v, o.Dst)
	v.Arg("source", Reads, &o.Src, n, max(from, o.SrcFrom+o.N))
	v.Arg("destination", Updates, &o.Dst, n, max(to, o.DstFrom+o.N))
}
