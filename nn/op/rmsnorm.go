package op

// NormEps is the ε of a norm that names none.
const NormEps = 1e-5

// RMSNorm writes X (n, D) = H / sqrt(mean(H²) + Eps) · Gain (D) for the rows of H (n, D) from From on, Count of them;
// 0 means to the last. An Eps of 0 means NormEps. X may be H; Kept (n, D), optional, then receives H as it was, which
// RMSNormBackward wants.
type RMSNorm[T any] struct {
	X, H, Gain  T
	Kept        T
	From, Count int
	Eps         float64
}

// Epsilon is an ε, or what 0 stands for.
func Epsilon(eps float64) float64 {
	if eps == 0 {
		return NormEps
	}
	return eps
}

// Epsilon is Eps, or what 0 stands for.
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

// Span is the first row and how many there are, of n.
func (o *RMSNorm[T]) Span(n int) (from, count int) {
	if o.Count == 0 {
		return o.From, n - o.From
	}
	return o.From, o.Count
}

// RMSNormBackward, of X = RMSNorm(H)·Gain: adds into DH (n, D) and DGain (D), which is optional, from DX (n, D).
type RMSNormBackward[T any] struct {
	DH, DGain, DX, H, Gain T
	Eps                    float64 // as in RMSNorm
}

// Epsilon is Eps, or what 0 stands for.
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
