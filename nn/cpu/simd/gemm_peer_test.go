package simd

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestGemmAgainstGonum compares the matrix product with an independent library in float64.
func TestGemmAgainstGonum(t *testing.T) {
	const m, n, k = 37, 65, 129
	random := rand.New(rand.NewPCG(1, 2))
	matrix := func(rows, cols int) ([]float32, *mat.Dense) {
		v, wide := make([]float32, rows*cols), make([]float64, rows*cols)
		for i := range v {
			v[i] = float32(random.NormFloat64())
			wide[i] = float64(v[i])
		}
		return v, mat.NewDense(rows, cols, wide)
	}
	a, wideA := matrix(m, k)
	b, wideB := matrix(n, k)
	c := make([]float32, m*n)
	Gemm(m, n, k, 1, a, k, false, b, k, true, 0, c, n)
	var want mat.Dense
	want.Mul(wideA, wideB.T())
	for i := range m {
		for j := range n {
			// k products of about 1 each, rounded to 24 bits.
			if d := math.Abs(float64(c[i*n+j]) - want.At(i, j)); d > 1e-4 {
				t.Fatalf("element (%d, %d): got %v, want %v", i, j, c[i*n+j], want.At(i, j))
			}
		}
	}
}
