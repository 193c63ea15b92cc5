package simd

import (
	"fmt"
	"testing"
)

// TestGemmTernaryIsGemm compares with the product of the decoded matrix, which is the same to the
// last bit.
func TestGemmTernaryIsGemm(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		edge := []int{1, 3, 4, 13, 16, 33, 64, 70}
		check := func(p product) {
			t.Helper()
			a, _, c, lda, _, ldc := p.operands(2)
			rows, cols := p.k, p.n
			if p.transB {
				rows, cols = p.n, p.k
			}
			b := randomMatrix(rows, cols)
			weights := make([]float32, rows*cols)
			TernaryDecode(weights, b.codes, rows, cols)
			want, got := append([]float32(nil), c...), newGuarded(c)
			Gemm(p.m, p.n, p.k, p.alpha, a, lda, p.transA, weights, cols, p.transB, p.beta, want, ldc)
			GemmTernary(p.m, p.n, p.k, p.alpha, a, lda, p.transA, b.codes, p.transB, p.beta, got.inside, ldc)
			near(t, p.String(), got.inside, want, 0, 0)
			got.check(t, p.String())
		}
		for i, m := range edge {
			for j, n := range edge {
				for form := range 4 {
					check(product{m, n, edge[(i+2*j+form)%len(edge)], form&1 != 0, form&2 != 0, 0.5, float32(i%2) * 2})
				}
			}
		}
		for _, transB := range []bool{false, true} {
			check(product{m: 50, n: 96, k: 2*blockK + 6, transB: transB, alpha: 1}) // steps that begin inside of a byte
			check(product{m: 3, n: blockCols + 37, k: 9, transB: transB, alpha: 2})
			check(product{m: 0, n: 4, k: 4, transB: transB, alpha: 1})
			check(product{m: 4, n: 4, k: 0, transB: transB, alpha: 1, beta: 2})
		}
	})
}

func TestGemmTernaryIsIndependentOfWorkers(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const m, n, k = 130, 200, 300
		a, b := random(m*k, 1), randomMatrix(n, k)
		var first []float32
		for _, workers := range []int{1, 2, 3, 8} {
			setWorkers(t, workers)
			got := make([]float32, m*n)
			GemmTernary(m, n, k, 1, a, k, false, b.codes, true, 0, got, n)
			if first == nil {
				first = got
			}
			near(t, fmt.Sprintf("%d workers", workers), got, first, 0, 0)
		}
	})
}

func TestGemmTernaryDoesNotAllocate(t *testing.T) {
	a, b, c := random(100*300, 1), randomMatrix(130, 300), make([]float32, 100*130)
	eachLevel(t, func(t *testing.T) {
		noAllocations(t, "GemmTernary", func() {
			GemmTernary(100, 130, 300, 1, a, 300, false, b.codes, true, 0, c, 130)
		})
	})
	panics(t, "codes", func() { GemmTernary(3, 2, 4, 1, a[:12], 4, false, b.codes[:3], false, 0, c[:6], 2) })
}

// TestGemmTernaryGroupIsGemm compares with the product of the decoded and scaled matrix, which is the
// same to the last bit.
func TestGemmTernaryGroupIsGemm(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		check := func(m *grouped, rows int, beta float32) {
			t.Helper()
			lda, ldc := m.cols+3, m.rows+2
			a, c := random(rows*lda, 1), random(rows*ldc, 2)
			weights := make([]float32, m.rows*m.cols)
			for i := range weights {
				weights[i] = float32(m.weight(i/max(m.cols, 1), i%max(m.cols, 1)))
			}
			want, got := append([]float32(nil), c...), newGuarded(c)
			Gemm(rows, m.rows, m.cols, 1, a, lda, false, weights, m.cols, true, beta, want, ldc)
			GemmTernaryGroup(rows, m.rows, m.cols, a, lda, m.codes, m.scales, m.group, beta, got.inside, ldc)
			what := fmt.Sprintf("%d rows of %d×%d, groups of %d", rows, m.rows, m.cols, m.group)
			near(t, what, got.inside, want, 0, 0)
			got.check(t, what)
		}
		eachGrouped(func(m *grouped) {
			check(m, 1+m.cols%7, float32(m.rows%2))
		})
		for _, rows := range []int{0, 1, 13, 70} {
			m := randomGrouped(70, 3*288, 288)
			m.scales[0], m.scales[1], m.scales[2] = 0, 0x0001, 0x83ff
			check(&m, rows, 2)
			m = randomGrouped(33, 4*blockK, 4*blockK)
			check(&m, rows, 0)
		}
	})
}

func TestGemmTernaryGroupIsIndependentOfWorkers(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows = 130
		m := randomGrouped(200, 384, 128)
		a := random(rows*m.cols, 1)
		var first []float32
		for _, workers := range []int{1, 2, 3, 8} {
			setWorkers(t, workers)
			got := make([]float32, rows*m.rows)
			GemmTernaryGroup(rows, m.rows, m.cols, a, m.cols, m.codes, m.scales, m.group, 0, got, m.rows)
			if first == nil {
				first = got
			}
			near(t, fmt.Sprintf("%d workers", workers), got, first, 0, 0)
		}
		noAllocations(t, "GemmTernaryGroup", func() {
			GemmTernaryGroup(rows, m.rows, m.cols, a, m.cols, m.codes, m.scales, m.group, 0, first, m.rows)
		})
	})
	m := randomGrouped(3, 96, 32)
	panics(t, "scales", func() {
		GemmTernaryGroup(1, 3, 96, make([]float32, 96), 96, m.codes, m.scales[1:], 32, 0, make([]float32, 3), 3)
	})
	panics(t, "codes", func() {
		GemmTernaryGroup(1, 3, 96, make([]float32, 96), 96, m.codes[1:], m.scales, 32, 0, make([]float32, 3), 3)
	})
	panics(t, "group", func() {
		GemmTernaryGroup(1, 3, 96, make([]float32, 96), 96, m.codes, m.scales[:6], 48, 0, make([]float32, 3), 3)
	})
}
