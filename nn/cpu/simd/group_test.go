package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"
)

// grouped is a ternary matrix with a scale for each group of weights.
type grouped struct {
	rows, cols, group int
	codes             []byte
	scales            []uint16
}

func randomGrouped(rows, cols, group int) grouped {
	r := rand.New(rand.NewPCG(uint64(rows), uint64(cols)))
	m := grouped{rows, cols, group, make([]byte, rows*ternaryStride(cols)), randomHalves(rows*(cols/group), 3)}
	for i := range m.codes {
		for range 4 {
			m.codes[i] = m.codes[i]<<2 | byte(r.IntN(3))
		}
	}
	return m
}

// fill makes all codes the same.
func (m *grouped) fill(code byte) {
	for i := range m.codes {
		m.codes[i] = code * 0b01_01_01_01
	}
}

func (m *grouped) scale(r, c int) float64 {
	return float64(float16.Frombits(m.scales[r*(m.cols/m.group)+c/m.group]).Float32())
}

func (m *grouped) weight(r, c int) float64 {
	return m.scale(r, c) * float64(ternaryWeight(m.codes[r*ternaryStride(m.cols):], c))
}

// groupLengths are lengths of groups: usual ones, and others that are a multiple of 32.
var groupLengths = []int{32, 64, 96, 128, 256, 288}

// eachGrouped runs the test with matrices of many shapes.
func eachGrouped(test func(m *grouped)) {
	for _, group := range groupLengths {
		for rows := range 10 {
			for _, groups := range []int{0, 1, 2, 5} {
				m := randomGrouped(rows, groups*group, group)
				test(&m)
			}
		}
	}
}

func (m *grouped) check(t *testing.T, what string, got, x []float32, n int) {
	t.Helper()
	for v := range n {
		for r := range m.rows {
			want, size := 0.0, 0.0
			for c := range m.cols {
				term := m.weight(r, c) * float64(x[v*m.cols+c])
				want += term
				size += math.Abs(term)
			}
			if y := float64(got[v*m.rows+r]); !(math.Abs(y-want) <= roundings(size, m.cols)) {
				t.Fatalf("%s of %d×%d, groups of %d, %d vectors: y[%d,%d] is %v, want %v", what, m.rows, m.cols, m.group, n, v, r, y, want)
			}
		}
	}
}

func TestTernaryGroupMatMul(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		eachGrouped(func(m *grouped) {
			for _, n := range []int{0, 1, 2, 3, 4, 5, 9} {
				x, y := random(n*m.cols, 5), newGuarded(random(n*m.rows, 6))
				TernaryGroupMatMul(y.inside, m.codes, m.scales, m.group, x, m.rows, m.cols, n)
				y.check(t, "TernaryGroupMatMul")
				m.check(t, "TernaryGroupMatMul", y.inside, x, n)
			}
		})
	})
}

// TestTernaryGroupMatMulOfIntegersIsExact: with scales that are powers of 2, among them 0 and the
// smallest of float16, nothing is rounded.
func TestTernaryGroupMatMulOfIntegersIsExact(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, code := range []byte{0, 1, 2, 99} {
			m := randomGrouped(9, 6*96, 96)
			if code < 3 {
				m.fill(code)
			}
			for i := range m.scales {
				m.scales[i] = []uint16{0x3c00, 0x0000, 0x8000, 0xbc00, 0x4400}[i%5]
				if i/6%2 == 0 {
					m.scales[i] = []uint16{0x0001, 0x8001, 0x0200, 0x0000}[i%4]
				}
			}
			const n = 5
			x := integers(n*m.cols, 100, 7)
			got := make([]float32, n*m.rows)
			TernaryGroupMatMul(got, m.codes, m.scales, m.group, x, m.rows, m.cols, n)
			for v := range n {
				for r := range m.rows {
					want := 0.0
					for c := range m.cols {
						want += m.weight(r, c) * float64(x[v*m.cols+c])
					}
					if float64(got[v*m.rows+r]) != want {
						t.Fatalf("codes %d: y[%d,%d] is %v, want %v", code, v, r, got[v*m.rows+r], want)
					}
				}
			}
		}
	})
}

// TestTernaryGroupMatMulIsOneByOne: what else is in the batch, how many workers there are, and
// where in the matrix a row lies do not change a result.
func TestTernaryGroupMatMulIsOneByOne(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		m := randomGrouped(1003, 640, 64)
		const n = 6
		x := random(n*m.cols, 5)
		oneByOne(t, m.rows, n, func(y []float32, from, n int) {
			TernaryGroupMatMul(y, m.codes, m.scales, m.group, x[from*m.cols:(from+n)*m.cols], m.rows, m.cols, n)
		})
	})
}

// oneByOne compares n vectors at once, with several numbers of workers, with each of them alone.
func oneByOne(t *testing.T, rows, n int, run func(y []float32, from, n int)) {
	t.Helper()
	var first []float32
	for _, workers := range []int{1, 2, 5} {
		setWorkers(t, workers)
		together := make([]float32, n*rows)
		run(together, 0, n)
		if first == nil {
			first = together
		}
		near(t, fmt.Sprintf("%d workers", workers), together, first, 0, 0)
	}
	for v := range n {
		alone := make([]float32, rows)
		run(alone, v, 1)
		near(t, "one vector", alone, first[v*rows:(v+1)*rows], 0, 0)
	}
}

func TestTernaryGroupMatMulDoesNotAllocate(t *testing.T) {
	m := randomGrouped(300, 512, 128)
	x, y := random(5*512, 1), make([]float32, 5*300)
	eachLevel(t, func(t *testing.T) {
		noAllocations(t, "TernaryGroupMatMul", func() {
			TernaryGroupMatMul(y, m.codes, m.scales, 128, x, m.rows, m.cols, 5)
		})
	})
}

func TestTernaryGroupMatMulRefusesWrongLengths(t *testing.T) {
	m, x, y := randomGrouped(3, 192, 64), make([]float32, 192), make([]float32, 3)
	panics(t, "group 48", func() { TernaryGroupMatMul(y, m.codes, m.scales[:3*4], 48, x, 3, 192, 1) })
	panics(t, "group 128", func() { TernaryGroupMatMul(y, m.codes, m.scales[:3], 128, x, 3, 192, 1) })
	panics(t, "group 0", func() { TernaryGroupMatMul(y, m.codes, m.scales, 0, x, 3, 192, 1) })
	panics(t, "scales", func() { TernaryGroupMatMul(y, m.codes, m.scales[1:], 64, x, 3, 192, 1) })
	panics(t, "codes", func() { TernaryGroupMatMul(y, m.codes[1:], m.scales, 64, x, 3, 192, 1) })
	panics(t, "x", func() { TernaryGroupMatMul(y, m.codes, m.scales, 64, x[1:], 3, 192, 1) })
}
