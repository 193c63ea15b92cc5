package op

// Scan says how the memory of the tied mixer learns.
type Scan struct {
	Chunk     int     // C: tokens taken together
	Minibatch bool    // one summed step per chunk instead of the exact rule
	Rate      float32 // η
}

// Chunks returns the number of chunks per sequence when B sequences share n rows.
func Chunks(n, B, chunk int) int {
	if B == 0 || chunk == 0 {
		return 0
	}
	return (n/B + chunk - 1) / chunk
}

// TiedScan reads keys F (n, d), normalises them to unit length, writes the predictions Z (n, d) and updates State (S, d, d).
// Starts (B, ceil(T/C), d, d), optional, receives the state before each chunk. Slots and Documents are described in the
// package comment; Documents needs the exact rule.
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

// TiedScanBackward is the backward of TiedScan: it writes DF (n, d) from DZ (n, d). The final state has no gradient.
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

// exactDocuments shows the optional documents of n rows. The minibatch rule has none, because its chunks would not begin
// where a document begins.
func exactDocuments[T any](v Visitor[T], documents *T, n int, scan Scan) {
	if scan.Minibatch {
		v.Arg("documents, of which the minibatch rule takes none", Reads|Optional, documents, 0)
		return
	}
	documentsArg(v, documents, n)
}

// whole rounds n down to a multiple of B; B sequences share that many rows evenly.
func whole(n, B int) int {
	if B == 0 {
		return n
	}
	return n / B * B
}
