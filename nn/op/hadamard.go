package op

// Hadamard writes Y (n, D) = H(Signs ∘ X) for X (n, D) and Signs (D), where H is the normalised Walsh-Hadamard transform of
// each Block neighbours of a row, H_ij = (−1)^popcount(i & j)/√Block. Inverse gives Signs ∘ H(X), which undoes it. Y may be X.
// Block is a power of two that divides D.
type Hadamard[T any] struct {
	Y, X, Signs T
	Block       int
	Inverse     bool
}

// Name implements Op.
func (o *Hadamard[T]) Name() string { return "Hadamard" }

// Args implements Op.
func (o *Hadamard[T]) Args(v Visitor[T]) {
	n, D := rows(v, o.X)
	v.Arg("x", Reads, &o.X, n, D)
	v.Arg("signs", Reads, &o.Signs, D)
	v.Arg("y", Writes, &o.Y, n, D)
}
