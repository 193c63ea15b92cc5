package simd

import "fmt"

// cacheKernels work on the rows of a cache of W: row r begins at w[r·step]. There is at least one row, and the length of a row is
// a multiple of cacheUnit.
type cacheKernels[W any] struct {
	scores   func(y []float32, w []W, x []float32, step int) // y[r] = row r · x
	weighted func(y []float32, w []W, p []float32, step int) // y += Σ p[r]·row r
}

// cacheUnit is how many elements of a row the kernels take together.
const cacheUnit = 16

// Scores sets y[r] = Σ w[r·step+i]·x[i] for the len(y) rows of a cache that begin step elements apart.
func Scores(y, w, x []float32, step int) {
	checkCache("Scores", len(w), len(y), len(x), step)
	k := active.Load()
	scores(y, w, x, step, k.floatCache.scores, k.dot)
}

// ScoresF16 is Scores for a cache in float16.
func ScoresF16(y []float32, w []uint16, x []float32, step int) {
	checkCache("ScoresF16", len(w), len(y), len(x), step)
	k := active.Load()
	scores(y, w, x, step, k.halfCache.scores, k.dotHalf)
}

// WeightedSum adds Σ p[r]·w[r·step+i] to y[i] for the len(p) rows of a cache that begin step elements apart.
func WeightedSum(y, w, p []float32, step int) {
	checkCache("WeightedSum", len(w), len(p), len(y), step)
	k := active.Load()
	weighted(y, w, p, step, k.floatCache.weighted, k.axpy)
}

// WeightedSumF16 is WeightedSum for a cache in float16.
func WeightedSumF16(y []float32, w []uint16, p []float32, step int) {
	checkCache("WeightedSumF16", len(w), len(p), len(y), step)
	k := active.Load()
	weighted(y, w, p, step, k.halfCache.weighted, k.axpyHalf)
}

func checkCache(op string, w, rows, cols, step int) {
	if rows > 0 && (step < cols || w < (rows-1)*step+cols) {
		panic(fmt.Sprintf("simd: %s: got %d elements, want %d rows of %d, %d apart", op, w, rows, cols, step))
	}
}

func scores[W any](y []float32, w []W, x []float32, step int, kernel func(y []float32, w []W, x []float32, step int), dot func(x []float32, y []W) float32) {
	switch cols := len(x); {
	case len(y) == 0:
	case cols > 0 && cols%cacheUnit == 0 && kernel != nil:
		kernel(y, w, x, step)
	default:
		for r := range y {
			y[r] = dot(x, w[r*step:r*step+cols])
		}
	}
}

func weighted[W any](y []float32, w []W, p []float32, step int, kernel func(y []float32, w []W, p []float32, step int), axpy func(alpha float32, x []W, y []float32)) {
	switch cols := len(y); {
	case len(p) == 0:
	case cols > 0 && cols%cacheUnit == 0 && kernel != nil:
		kernel(y, w, p, step)
	default:
		for r, weight := range p {
			axpy(weight, w[r*step:r*step+cols], y)
		}
	}
}
