package op

// NormEps is the default ε of a norm.
const NormEps = 1e-5

// RMSNorm writes X (n, D) = H / sqrt(mean(H²) + Eps) · Gain (D) for Count rows of H (n, D), starting at row From; a Count of
// 0 means all that follow. An Eps of 0 means NormEps. X may be H; Kept (n, D), optional, then receives the original H for
// RMSNormBackward.
type RMSNorm[T any] struct {
	X, H, Gain  T
	Kept        T
	From, Count int
	Eps         float64
}

// Epsilon returns eps, or NormEps for 0.
func Epsilon(eps float64) float64 {
	if eps == 0 {
		return NormEps
	}
	return eps
}

// Epsilon returns Eps, or NormEps for 0.
func (o *RMSNorm[T]) Epsilon() float64 { return Epsilon(o.Eps) }

// Name implements Op.
func (o *RMSNorm[T]) Name() string { return "RMSNorm" }

// Args implements Op.
func (o *RMSNorm[T]) Args(v Visitor[T]) {
	n, D := rows(v, o.H)
	v.Arg("h", Reads, &o.H, max(n, o.From+o.Count), D)
	v.Arg("gain", Reads, &o.Gain, D)
	v.Arg("kept", Writes|Optional, &o.Kept, n, D)
	v.Arg("x", Writes, &o.X, n, D)
}

// Span returns the first row and the number of rows, of n.
func (o *RMSNorm[T]) Span(n int) (from, count int) {
	if o.Count == 0 {
		return o.From, n - o.From
	}
	return o.From, o.Count
}

// RMSNormBackward is the backward of RMSNorm: from DX (n, D) it adds to DH (n, D) and to DGain (D), which is optional.
type RMSNormBackward[T any] struct {
	DH, DGain, DX, H, Gain T
	Eps                    float64 // as in RMSNorm
}

// Epsilon returns Eps, or NormEps for 0.
func (o *RMSNormBackward[T]) Epsilon() float64 { return Epsilon(o.Eps) }

// Name implements Op.
func (o *RMSNormBackward[T]) Name() string { return "RMSNormBackward" }

// Args implements Op.
func (o *RMSNormBackward[T]) Args(v Visitor[T]) {
	n, D := rows(v, o.H)
	v.Arg("dx", Reads, &o.DX, n, D)
	v.Arg("h", Reads, &o.H, n, D)
	v.Arg("gain", Reads, &o.Gain, D)
	v.Arg("dh", Updates, &o.DH, n, D)
	v.Arg("dgain", Updates|Optional, &o.DGain, D)
}
