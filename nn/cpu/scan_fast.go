package cpu

import (
	"math"

	"bitgpu/nn/cpu/simd"
)

// scanScratch is what one core needs to scan one head of one sequence.
type scanScratch struct {
	states, used, dW, dUsed []float32 // (c, c), states (C+1, c, c)
	k, z, e                 []float32 // (C, c)
	dk, dz                  []float32 // (c)
	conv, dconv             []float32 // delta: a row before and after SiLU, gradient sums
}

func unitFast(k, f []float32) {
	scale := 1 / (float32(math.Sqrt(float64(simd.SumSquares(f)))) + unitEps)
	for i, x := range f {
		k[i] = x * scale
	}
}

func unitBackwardFast(df, dk, f []float32) {
	length := float32(math.Sqrt(float64(simd.SumSquares(f))))
	inverse := 1 / (length + unitEps)
	var along float32
	if length > 0 {
		along = simd.Dot(f, dk) / length * inverse * inverse
	}
	for i := range f {
		df[i] = dk[i]*inverse - f[i]*along
	}
}

// addTransposed adds Wᵀ·x to y for W (len(x), len(y)).
func addTransposed(y, W, x []float32) {
	for i, v := range x {
		simd.Axpy(v, W[i*len(y):(i+1)*len(y)], y)
	}
}
