package cpu

import (
	"math"

	"bitgpu/nn/cpu/simd"
)

// scanScratch is the scratch memory of a core that scans one head of one sequence, a chunk of C tokens at a time, by the chunk
// form of docs/equations.md: matrix products, and a forward substitution for what the tokens of a chunk have learned from each
// other.
type scanScratch struct {
	x, dx, d     []float32 // delta: keys over queries, (2C, c); tied: keys, (C, c)
	products, dp []float32 // of the rows of x with the keys, (2C, C)
	pairs        []float32 // gradient of the products of all rows of x with each other
	lower        []float32 // the matrix of the substitution, (C, C)
	e, u, y, du  []float32 // (2C, c)
	beta, dbeta  []float32 // (C)
	dW, none     []float32 // (c, c)
	row          []float32 // a row of weights, or scores of attention
	conv, dconv  []float32 // delta: a row before and after SiLU, gradient sums
	token        tiedToken
	draw         drawScratch
}

// longestPiece limits the products of tokens with each other where a chunk may be divided.
const longestPiece = 64

// piece returns how many tokens, from t on, are handled together: not beyond the end of a chunk.
func piece(t, time, chunk int) int { return min(longestPiece, chunk-t%chunk, time-t) }

func unitFast(k, f []float32) {
	scale := 1 / (float32(math.Sqrt(float64(simd.SumSquares(f)))) + unitEps)
	copy(k, f)
	simd.Scale(scale, k)
}

// unitBackwardFast is unitBackward; df is dk, or does not overlap it.
func unitBackwardFast(df, dk, f []float32) {
	length := float32(math.Sqrt(float64(simd.SumSquares(f))))
	inverse := 1 / (length + unitEps)
	var along float32
	if length > 0 {
		along = simd.Dot(f, dk) / length * inverse * inverse
	}
	copy(df, dk)
	simd.Scale(inverse, df)
	simd.Axpy(-along, f, df)
}
