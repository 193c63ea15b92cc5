package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// product is one call of Gemm.
type product struct {
	m, n, k        int
	transA, transB bool
	alpha, beta    float32
}

func (p product) String() string {
	return fmt.Sprintf("m%d n%d k%d A^T %v B^T %v alpha %v beta %v", p.m, p.n, p.k, p.transA, p.transB, p.alpha, p.beta)
}

// operands returns random matrices whose rows are `gap` elements further apart than necessary.
func (p product) operands(gap int) (a, b, c []float32, lda, ldb, ldc int) {
	rowsA, rowsB := p.m, p.k
	lda, ldb, ldc = p.k+gap, p.n+gap, p.n+gap
	if p.transA {
		rowsA, lda = p.k, p.m+gap
	}
	if p.transB {
		rowsB, ldb = p.n, p.k+gap
	}
	return random(rowsA*lda, 1), random(rowsB*ldb, 2), random(p.m*ldc, 3), lda, ldb, ldc
}

// want returns the product in float64, and the bound of its rounding error.
func (p product) want(a, b, c []float32, lda, ldb, ldc, i, j int) (value, bound float64) {
	size := 0.0
	for s := range p.k {
		x, y := i*lda+s, s*ldb+j
		if p.transA {
			x = s*lda + i
		}
		if p.transB {
			y = j*ldb + s
		}
		v := float64(a[x]) * float64(b[y])
		value += v
		size += math.Abs(v)
	}
	value *= float64(p.alpha)
	size *= math.Abs(float64(p.alpha))
	if p.beta != 0 {
		value += float64(p.beta) * float64(c[i*ldc+j])
		size += math.Abs(float64(p.beta) * float64(c[i*ldc+j]))
	}
	return value, size * float64(p.k+2) * 0x1p-24
}

func (p product) check(t *testing.T, gap int) {
	t.Helper()
	a, b, c, lda, ldb, ldc := p.operands(gap)
	if p.beta == 0 && len(c) > 0 {
		c[0] = float32(math.NaN())
	}
	got := newGuarded(c)
	Gemm(p.m, p.n, p.k, p.alpha, a, lda, p.transA, b, ldb, p.transB, p.beta, got.inside, ldc)
	got.check(t, p.String())
	for i := range p.m {
		for j := range ldc {
			g := float64(got.inside[i*ldc+j])
			if j >= p.n {
				if g != float64(c[i*ldc+j]) {
					t.Fatalf("%v: the gap after row %d was written", p, i)
				}
				continue
			}
			want, bound := p.want(a, b, c, lda, ldb, ldc, i, j)
			if !(math.Abs(g-want) <= bound) {
				t.Fatalf("%v: C[%d,%d] is %v, want %v ± %v", p, i, j, g, want, bound)
			}
		}
	}
}

func TestGemm(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		edge := []int{1, 2, 5, 13, 14, 16, 29, 33, 64, 100}
		for i, m := range edge {
			for j, n := range edge {
				for form := range 4 {
					p := product{m, n, edge[(i+2*j+form)%len(edge)], form&1 != 0, form&2 != 0, 1, 0}
					switch (i + j) % 3 {
					case 1:
						p.beta = 1
					case 2:
						p.alpha, p.beta = -0.5, 0.25
					}
					p.check(t, (i+j)%2*3)
				}
			}
		}
		for form := range 4 {
			transA, transB := form&1 != 0, form&2 != 0
			product{m: 150, n: 96, k: 2*blockK + 5, transA: transA, transB: transB, alpha: 1, beta: 1}.check(t, 0)
			product{m: 3, n: blockCols + 37, k: 9, transA: transA, transB: transB, alpha: 2, beta: 0}.check(t, 1)
			product{m: 4117, n: 70, k: 5, transA: transA, transB: transB, alpha: 1, beta: 0}.check(t, 0)
		}
	})
}

// TestHeights: the scratch memory for packed rows holds the tiles of every level.
func TestHeights(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		if g := active.Load().gemm; slices.Max(g.heights) != g.heights[0] || g.heights[0] > maxHeight || g.width > maxWidth {
			t.Errorf("tiles of %v rows and %d columns, room for %d and %d", g.heights, g.width, maxHeight, maxWidth)
		}
	})
}

func TestGemmWithoutProduct(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, p := range []product{{0, 3, 2, false, false, 1, 0}, {3, 0, 2, false, false, 1, 0}, {3, 5, 0, false, false, 1, 0}, {3, 5, 0, true, true, 1, 2}, {4, 4, 4, false, false, 0, 0.5}} {
			p.check(t, 0)
		}
	})
}

func TestGemmIsIndependentOfWorkers(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, p := range []product{{130, 200, 800, false, true, 1, 0}, {300, 100, 900, true, false, 1, 1}, {64, 64, 1000, false, false, 1, 0}} {
			a, b, c, lda, ldb, ldc := p.operands(0)
			var first []float32
			for _, workers := range []int{1, 2, 3, 8} {
				setWorkers(t, workers)
				got := append([]float32(nil), c...)
				Gemm(p.m, p.n, p.k, p.alpha, a, lda, p.transA, b, ldb, p.transB, p.beta, got, ldc)
				if first == nil {
					first = got
				}
				near(t, fmt.Sprintf("%v with %d workers", p, workers), got, first, 0, 0)
			}
		}
	})
}

// TestGemmPartsAreThoseOfTheWhole computes parts of products with other tiles and other
// ways of reading the operands.
func TestGemmPartsAreThoseOfTheWhole(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for form := range 4 {
			p := product{150, 160, 300, form&1 != 0, form&2 != 0, 0.5, 2}
			a, b, c, lda, ldb, ldc := p.operands(0)
			whole := append([]float32(nil), c...)
			Gemm(p.m, p.n, p.k, p.alpha, a, lda, p.transA, b, ldb, p.transB, p.beta, whole, ldc)
			for _, part := range []struct{ row, rows, col, cols int }{{0, 1, 0, 160}, {3, 140, 32, 64}, {149, 1, 159, 1}, {17, 13, 5, 100}, {40, 28, 0, 32}} {
				got := append([]float32(nil), c...)
				atA, atB := part.row*lda, part.col
				if p.transA {
					atA = part.row
				}
				if p.transB {
					atB = part.col * ldb
				}
				at := part.row*ldc + part.col
				Gemm(part.rows, part.cols, p.k, p.alpha, a[atA:], lda, p.transA, b[atB:], ldb, p.transB, p.beta, got[at:], ldc)
				for r := range part.rows {
					line := at + r*ldc
					near(t, fmt.Sprintf("%v, part %v", p, part), got[line:line+part.cols], whole[line:line+part.cols], 0, 0)
				}
			}
		}
	})
}

func TestGemmDoesNotAllocate(t *testing.T) {
	p := product{100, 130, 300, false, true, 1, 0}
	a, b, c, lda, ldb, ldc := p.operands(0)
	eachLevel(t, func(t *testing.T) {
		noAllocations(t, "Gemm", func() { Gemm(p.m, p.n, p.k, 1, a, lda, false, b, ldb, true, 0, c, ldc) })
	})
}

func TestGemmRefusesShortOperands(t *testing.T) {
	x := make([]float32, 11)
	panics(t, "A", func() { Gemm(3, 2, 4, 1, x, 4, false, make([]float32, 8), 2, false, 0, make([]float32, 6), 2) })
	panics(t, "B", func() { Gemm(2, 3, 4, 1, make([]float32, 8), 4, false, x, 3, false, 0, make([]float32, 6), 3) })
	panics(t, "C", func() { Gemm(3, 4, 2, 1, x, 2, false, x, 4, false, 0, x, 4) })
	panics(t, "row distance", func() { Gemm(2, 2, 3, 1, x, 2, false, x, 2, false, 0, x, 2) })
	panics(t, "negative", func() { Gemm(-1, 2, 3, 1, x, 3, false, x, 2, false, 0, x, 2) })
}
