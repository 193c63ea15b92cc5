package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"
)

// matrix is one matrix in each of the formats, and what it stands for.
type matrix struct {
	rows, cols int
	float      []float32 // for MatMul and the others' meaning by decode
	half       []uint16
	bfloat     []uint16
	int8       []int8
	scale      []float32
	codes      []byte
}

func randomMatrix(rows, cols int) matrix {
	m := matrix{rows: rows, cols: cols, float: random(rows*cols, 1), scale: random(rows, 2)}
	r := rand.New(rand.NewPCG(3, 4))
	for _, v := range m.float {
		m.half = append(m.half, float16.Fromfloat32(v).Bits())
		m.bfloat = append(m.bfloat, uint16(math.Float32bits(v)>>16))
		m.int8 = append(m.int8, int8(r.IntN(256)-128))
	}
	m.codes = make([]byte, rows*ternaryStride(cols))
	for i := range m.codes { // padding, too, holds anything
		m.codes[i] = byte(r.IntN(256))
	}
	return m
}

// multiplication is one of the families under test.
type multiplication struct {
	name   string
	weight func(m *matrix, r, c int) float64
	run    func(m *matrix, y, x []float32, n int)
}

var multiplications = []multiplication{
	{"MatMul", func(m *matrix, r, c int) float64 { return float64(m.float[r*m.cols+c]) },
		func(m *matrix, y, x []float32, n int) { MatMul(y, m.float, x, m.rows, m.cols, n) }},
	{"MatMulF16", func(m *matrix, r, c int) float64 { return float64(float16.Frombits(m.half[r*m.cols+c]).Float32()) },
		func(m *matrix, y, x []float32, n int) { MatMulF16(y, m.half, x, m.rows, m.cols, n) }},
	{"MatMulBF16", func(m *matrix, r, c int) float64 {
		return float64(math.Float32frombits(uint32(m.bfloat[r*m.cols+c]) << 16))
	},
		func(m *matrix, y, x []float32, n int) { MatMulBF16(y, m.bfloat, x, m.rows, m.cols, n) }},
	{"MatMulI8", func(m *matrix, r, c int) float64 { return float64(m.int8[r*m.cols+c]) * float64(m.scale[r]) },
		func(m *matrix, y, x []float32, n int) { MatMulI8(y, m.int8, m.scale, x, m.rows, m.cols, n) }},
	{"TernaryMatMul", func(m *matrix, r, c int) float64 {
		return float64(ternaryWeight(m.codes[r*ternaryStride(m.cols):], c))
	}, func(m *matrix, y, x []float32, n int) { TernaryMatMul(y, m.codes, x, m.rows, m.cols, n) }},
}

func TestMatMul(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, op := range multiplications {
			for _, rows := range []int{0, 1, 3, 4, 5, 8, 11} {
				for _, cols := range sizes {
					m := randomMatrix(rows, cols)
					for _, n := range []int{0, 1, 2, 4, 7} {
						checkMultiplication(t, op, &m, n)
					}
				}
			}
		}
	})
}

func checkMultiplication(t *testing.T, op multiplication, m *matrix, n int) {
	t.Helper()
	x := random(n*m.cols, 5)
	y := newGuarded(random(n*m.rows, 6))
	op.run(m, y.inside, x, n)
	what := fmt.Sprintf("%s of %d×%d with %d vectors", op.name, m.rows, m.cols, n)
	y.check(t, what)
	for v := range n {
		for r := range m.rows {
			want, size := 0.0, 0.0
			for c := range m.cols {
				term := op.weight(m, r, c) * float64(x[v*m.cols+c])
				want += term
				size += math.Abs(term)
			}
			got := float64(y.inside[v*m.rows+r])
			if !(math.Abs(got-want) <= roundings(size, m.cols)) {
				t.Fatalf("%s: y[%d,%d] is %v, want %v", what, v, r, got, want)
			}
		}
	}
}

// TestMatMulIsMatVec: what else is in the batch, how many workers there are, and
// where in the matrix a row lies do not change a result.
func TestMatMulIsMatVec(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, op := range multiplications {
			m := randomMatrix(300, 1000-3)
			const n = 6
			x := random(n*m.cols, 5)
			var first []float32
			for _, workers := range []int{1, 2, 5} {
				setWorkers(t, workers)
				together := make([]float32, n*m.rows)
				op.run(&m, together, x, n)
				if first == nil {
					first = together
				}
				near(t, fmt.Sprintf("%s with %d workers", op.name, workers), together, first, 0, 0)
			}
			for v := range n {
				alone := make([]float32, m.rows)
				op.run(&m, alone, x[v*m.cols:(v+1)*m.cols], 1)
				near(t, op.name, alone, first[v*m.rows:(v+1)*m.rows], 0, 0)
			}
		}
	})
}

func TestTernaryOfIntegersIsExact(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, cols := range sizes {
			m := randomMatrix(9, cols)
			x := integers(5*cols, 1000, 7)
			got, want := make([]float32, 5*9), make([]float32, 5*9)
			TernaryMatMul(got, m.codes, x, 9, cols, 5)
			for v := range 5 {
				definition.ternary.one(want[v*9:(v+1)*9], m.codes, x[v*cols:(v+1)*cols], cols)
			}
			near(t, fmt.Sprintf("%d columns", cols), got, want, 0, 0)
			if cols > 0 {
				TernaryMatVec(got[:9], m.codes, x[:cols], 9, cols)
				near(t, "one vector", got[:9], want[:9], 0, 0)
			}
		}
	})
}

func TestHalfSpecialValues(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		w := []uint16{0x0001, 0x83ff, 0x7bff, 0xfbff, 0x0000, 0x8000, 0x3c00, 0x0400}
		for i := range w {
			var y [1]float32
			x := make([]float32, len(w))
			x[i] = 1
			MatVecF16(y[:], w, x, 1, len(w))
			if want := float16.Frombits(w[i]).Float32(); y[0] != want {
				t.Errorf("%#04x is %v, want %v", w[i], y[0], want)
			}
		}
	})
}

func TestTernaryDecode(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, rows := range []int{0, 1, 2, 5} {
			for _, cols := range append(sizes, codeGrain+5) {
				m := randomMatrix(rows, cols)
				want := make([]float32, rows*cols)
				for i := range want {
					want[i] = ternaryWeight(m.codes[i/cols*ternaryStride(cols):], i%cols)
				}
				got := newGuarded(make([]float32, rows*cols))
				TernaryDecode(got.inside, m.codes, rows, cols)
				what := fmt.Sprintf("TernaryDecode %d×%d", rows, cols)
				near(t, what, got.inside, want, 0, 0)
				got.check(t, what)
			}
		}
	})
}

func TestTernaryQuantize(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachLevel(t, func(t *testing.T) {
		for _, gamma := range []float32{1, 0.7, 1e-5, 3e-38} {
			half := gamma / 2
			hard := []float32{half, -half, math.Nextafter32(half, 0), -math.Nextafter32(half, 0), math.Nextafter32(half, 1), gamma, -2 * gamma,
				0, float32(math.Copysign(0, -1)), nan, inf, -inf, math.MaxFloat32, -math.SmallestNonzeroFloat32}
			for _, rows := range []int{0, 1, 3} {
				for _, cols := range append(sizes, codeGrain+5) {
					w := random(rows*cols, 8)
					Scale(gamma, w)
					for i := range w {
						if i%3 == 0 {
							w[i] = hard[i/3%len(hard)]
						}
					}
					stride := ternaryStride(cols)
					want := make([]byte, rows*stride)
					for r := range rows {
						for c := range stride * 4 {
							code := byte(1)
							if c < cols {
								code = roundedCode(w[r*cols+c], gamma)
							}
							want[r*stride+c/4] |= code << (c % 4 * 2)
						}
					}
					whole := make([]byte, len(want)+16)
					TernaryQuantize(whole[8:8+len(want)], w, rows, cols, gamma)
					for i, v := range whole {
						expected := byte(0)
						if i >= 8 && i < 8+len(want) {
							expected = want[i-8]
						}
						if v != expected {
							t.Fatalf("γ %v, %d×%d: byte %d is %08b, want %08b", gamma, rows, cols, i-8, v, expected)
						}
					}
				}
			}
		}
	})
}

// roundedCode is clamp(round(w/γ), −1, +1) + 1 by the letter, 1 for NaN.
func roundedCode(w, gamma float32) byte {
	q := math.Round(float64(w / gamma)) // halves away from zero
	if math.IsNaN(q) {
		return 1
	}
	return byte(max(-1, min(1, q)) + 1)
}

func TestMatMulDoesNotAllocate(t *testing.T) {
	m := randomMatrix(300, 400)
	x, y := random(5*400, 1), make([]float32, 5*300)
	eachLevel(t, func(t *testing.T) {
		for _, op := range multiplications {
			noAllocations(t, op.name, func() { op.run(&m, y, x, 5) })
		}
		noAllocations(t, "codes", func() {
			TernaryDecode(m.float, m.codes, m.rows, m.cols)
			TernaryQuantize(m.codes, m.float, m.rows, m.cols, 1)
		})
	})
}

func TestMatMulRefusesWrongLengths(t *testing.T) {
	x := make([]float32, 12)
	panics(t, "y", func() { MatVec(x[:2], x, x[:4], 3, 4) })
	panics(t, "w", func() { MatVec(x[:3], x[:11], x[:4], 3, 4) })
	panics(t, "x", func() { MatVec(x[:3], x, x[:3], 3, 4) })
	panics(t, "scale", func() { MatVecI8(x[:3], make([]int8, 12), x[:2], x[:4], 3, 4) })
	panics(t, "codes", func() { TernaryMatVec(x[:3], make([]byte, 3), x[:5], 3, 5) })
	panics(t, "TernaryDecode", func() { TernaryDecode(x, make([]byte, 3), 2, 6) })
	panics(t, "TernaryQuantize", func() { TernaryQuantize(make([]byte, 5), x, 2, 6, 1) })
}

func TestMeasurements(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 256 MB")
	}
	if peak := MeasurePeakFMA(); !(peak > 1e8) {
		t.Errorf("peak %v FLOP/s", peak)
	}
	if bandwidth := MeasureReadBandwidth(); !(bandwidth > 1e7) {
		t.Errorf("bandwidth %v bytes/s", bandwidth)
	}
}
