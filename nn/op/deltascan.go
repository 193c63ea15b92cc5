package op

// ConvTaps is the length of the delta mixer's convolutions, ConvTail the number of past inputs that they need.
const (
	ConvTaps = 4
	ConvTail = ConvTaps - 1
)

// DeltaScan is the delta mixer from its projections U (n, 3d), which hold key, query and value, and step sizes Beta (n, h),
// to the normalised output O (n, d): convolution Conv (3, d, 4), SiLU, unit keys and queries, the delta rule for each head,
// RMSNorm over c with Gain (c) and Eps. It updates State (S, h, c, c) and Tail (S, 3, 3, d), the last three inputs of the
// convolutions. KQV (n, 3d) receives keys, queries and values as the rule gets them, Answers (n, d) the memory's answers
// before the norm, and Starts (B, ceil(T/C), h, c, c), optional, the state before each chunk. Slots and Documents are
// described in the package comment.
type DeltaScan[T any] struct {
	O, U, Beta, Conv, Gain, State, Tail, KQV, Answers, Starts, Slots, Documents T
	Chunk                                                                       int
	Eps                                                                         float64 // of the norm, as in RMSNorm
}

// Name implements Op.
func (o *DeltaScan[T]) Name() string { return "DeltaScan" }

// Args implements Op.
func (o *DeltaScan[T]) Args(v Visitor[T]) {
	n, d := rows(v, o.O)
	c, B, S := axis(v, o.Gain, 0), sequences(v, o.State, o.Slots), axis(v, o.State, 0)
	h := heads(d, c)
	slotsArg(v, &o.Slots)
	documentsArg(v, &o.Documents, n)
	v.Arg("projections", Reads, &o.U, whole(n, B), 3*d)
	v.Arg("step sizes", Reads, &o.Beta, n, h)
	v.Arg("convolutions", Reads, &o.Conv, 3, d*ConvTaps)
	v.Arg("gain", Reads, &o.Gain, c)
	v.Arg("state", Updates, &o.State, S, h*c*c)
	v.Arg("tail", Updates, &o.Tail, S, 3*ConvTail*d)
	v.Arg("keys, queries, values", Writes, &o.KQV, n, 3*d)
	v.Arg("answers", Writes, &o.Answers, n, d)
	v.Arg("starts", Writes|Optional, &o.Starts, B, Chunks(n, B, o.Chunk)*h*c*c)
	v.Arg("output", Writes, &o.O, n, h*c)
}

// heads returns the number of heads of width c in a memory of width d.
func heads(d, c int) int {
	if c == 0 {
		return 0
	}
	return d / c
}

// DeltaScanBackward is the backward of a scan that began with a zero tail. From DO (n, d) it writes DU (n, 3d) and DBeta (n,
// h) and adds to DConv (3, d, 4) and DGain (c), both optional.
type DeltaScanBackward[T any] struct {
	DU, DBeta, DConv, DGain, DO, U, Beta, Conv, Gain, KQV, Answers, Starts, Documents T
	Chunk                                                                             int
	Eps                                                                               float64 // as in RMSNorm
}

// Name implements Op.
func (o *DeltaScanBackward[T]) Name() string { return "DeltaScanBackward" }

// Args implements Op.
func (o *DeltaScanBackward[T]) Args(v Visitor[T]) {
	n, d := rows(v, o.DO)
	c, B := axis(v, o.Gain, 0), axis(v, o.Starts, 0)
	h := heads(d, c)
	documentsArg(v, &o.Documents, n)
	v.Arg("do", Reads, &o.DO, n, h*c)
	v.Arg("projections", Reads, &o.U, whole(n, B), 3*d)
	v.Arg("step sizes", Reads, &o.Beta, n, h)
	v.Arg("convolutions", Reads, &o.Conv, 3, d*ConvTaps)
	v.Arg("gain", Reads, &o.Gain, c)
	v.Arg("keys, queries, values", Reads, &o.KQV, n, 3*d)
	v.Arg("answers", Reads, &o.Answers, n, d)
	v.Arg("starts", Reads, &o.Starts, B, Chunks(n, B, o.Chunk)*h*c*c)
	v.Arg("du", Writes, &o.DU, n, 3*d)
	v.Arg("dbeta", Writes, &o.DBeta, n, h)
	v.Arg("dconv", Updates|Optional, &o.DConv, 3, d*ConvTaps)
	v.Arg("dgain", Updates|Optional, &o.DGain, c)
}
