package simd

import "math"

// Dot returns Σ xᵢ·yᵢ.
func Dot(x, y []float32) float32 {
	checkSame("Dot", len(x), len(y))
	return active.Load().dot(x, y)
}

// SumSquares returns Σ xᵢ².
func SumSquares(x []float32) float32 { return active.Load().sumSquares(x) }

// Max returns the largest element of x, −Inf if x is empty.
func Max(x []float32) float32 {
	if len(x) == 0 {
		return float32(math.Inf(-1))
	}
	return active.Load().maximum(x)
}

// Axpy adds alpha·x to y.
func Axpy(alpha float32, x, y []float32) {
	checkSame("Axpy", len(x), len(y))
	active.Load().axpy(alpha, x, y)
}

// Scale multiplies x by alpha.
func Scale(alpha float32, x []float32) { active.Load().scale(alpha, x) }

// Add sets dst = a + b. dst may be a or b.
func Add(dst, a, b []float32) {
	checkSame("Add", len(dst), len(a), len(b))
	active.Load().add(dst, a, b)
}

// Mul sets dst = a ⊙ b. dst may be a or b.
func Mul(dst, a, b []float32) {
	checkSame("Mul", len(dst), len(a), len(b))
	active.Load().mul(dst, a, b)
}

// MulAdd adds a ⊙ b to dst.
func MulAdd(dst, a, b []float32) {
	checkSame("MulAdd", len(dst), len(a), len(b))
	active.Load().mulAdd(dst, a, b)
}

// Ger adds the outer product alpha·e·kᵀ to w, (len(e), len(k)): the update of a
// test-time-training state.
func Ger(w []float32, alpha float32, e, k []float32) {
	checkSame("Ger", len(w), len(e)*len(k))
	if len(w) > 0 {
		active.Load().ger(w, alpha, e, k)
	}
}
