package op

// Scan says how the tied mixer's memory learns.
type Scan struct {
	Chunk     int     // C: tokens taken together
	Minibatch bool    // one summed step a chunk instead of the exact rule
	Rate      float32 // η
}

// Chunks is how many chunks n rows of B sequences have, a sequence.
func Chunks(n, B, chunk int) int {
	if B == 0 || chunk == 0 {
		return 0
	}
	return (n/B + chunk - 1) / chunk
}

// TiedScan reads keys F (n, d), normalises them to unit length, writes the predictions Z (n, d) and moves State (S, d, d)
// on; Slots and Documents as in the package comment, the latter with the exact rule only. Starts (B, ceil(T/C), d, d), optional,
// receives the state before each chunk.
type TiedScan[T any] struct {
	Z, F, State, Starts, Slots, Documents T
	Scan
}

// Name implements Op.
func (o *TiedScan[T]) Name() string { return "TiedScan" }

// Args implements Op.
func (o *TiedScan[T]) Args(v Visitor[T]) {
	n, d := rows(v, o.F)
	B := sequences(v, o.State, o.Slots)
	v.Arg("keys", Reads, &o.F, whole(n, B), d)
	slotsArg(v, &o.Slots)
	exactDocuments(v, &o.Documents, n, o.Scan)
	v.Arg("state", Updates, &o.State, axis(v, o.State, 0), d*d)
	v.Arg("starts", Writes|Optional, &o.Starts, B, Chunks(n, B, o.Chunk)*d*d)
	v.Arg("predictions", Writes, &o.Z, n, d)
}

// TiedScanBackward writes DF (n, d) from DZ (n, d). The state after the last token has no gradient.
type TiedScanBackward[T any] struct {
	DF, DZ, F, Starts, Documents T
	Scan
}

// Name implements Op.
func (o *TiedScanBackward[T]) Name() string { return "TiedScanBackward" }

// Args implements Op.
func (o *TiedScanBackward[T]) Args(v Visitor[T]) {
	n, d := rows(v, o.F)
	B := axis(v, o.Starts, 0)
	exactDocuments(v, &o.Documents, n, o.Scan)
	v.Arg("dz", Reads, &o.DZ, n, d)
	v.Arg("keys", Reads, &o.F, whole(n, B), d)
	v.Arg("starts", Reads, &o.Starts, B, Chunks(n, B, o.Chunk)*d*d)
	v.Arg("df", Writes, &o.DF, n, d)
}

// exactDocuments shows the optional documents of n rows. The chunks of the minibatch rule would be other ones than those of a
// document by itself.
func exactDocuments[T any](v Visitor[T], documents *T, n int, scan Scan) {
	if scan.Minibatch {
		v.Arg("documents, of which the minibatch rule takes none", Reads|Optional, documents, 0)
		return
	}
	documentsArg(v, documents, n)
}

// whole is n if B sequences can share n rows evenly, else the next smaller number that they can.
func whole(n, B int) int {
	if B == 0 {
		return n
	}
	return n / B * B
}
