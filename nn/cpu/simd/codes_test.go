package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func randomInt8(n int, seed uint64) []int8 {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	q := make([]int8, n)
	for i := range q {
		q[i] = int8(r.IntN(256) - 128)
	}
	return q
}

// divisors are scales of n rows of activations.
func divisors(n int) []float32 {
	d := random(n, 9)
	for i, v := range d {
		d[i] = 20 + v*v
	}
	return d
}

// checkInt8 compares with the definition: no matter how long a row, its sum is exact.
func checkInt8(t *testing.T, rows, cols int, codes []byte, q []int8, n int) {
	t.Helper()
	scales, y := divisors(n), newGuarded(random(n*rows, 6))
	TernaryMatMulI8(y.inside, codes, q, scales, rows, cols, n)
	what := fmt.Sprintf("TernaryMatMulI8 of %d×%d with %d vectors", rows, cols, n)
	y.check(t, what)
	for v := range n {
		for r := range rows {
			sum := int32(0)
			for c := range cols {
				sum += int32(ternaryWeight(codes[r*ternaryStride(cols):], c)) * int32(q[v*cols+c])
			}
			if got, want := y.inside[v*rows+r], float32(sum)/scales[v]; got != want {
				t.Fatalf("%s: y[%d,%d] is %v, want %v", what, v, r, got, want)
			}
		}
	}
}

func TestTernaryMatMulI8(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for rows := range 10 {
			for _, cols := range append(sizes, 2047, 2048, 2080, 4131) {
				m := randomGrouped(rows, cols, max(cols, 1))
				for n := range 10 {
					checkInt8(t, rows, cols, m.codes, randomInt8(n*cols, 7), n)
				}
			}
		}
	})
}

func TestTernaryMatMulI8OfExtremes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const n = 5
		for _, cols := range []int{32, 2048, 4096 + 33, 20000} {
			m := randomGrouped(5, cols, cols)
			for _, code := range []byte{0, 1, 2} {
				m.fill(code)
				for _, value := range []int8{-128, 127, 0} {
					q := make([]int8, n*cols)
					for i := range q {
						q[i] = value
						if i/cols == 1 && i%64 >= 32 {
							q[i] = -1 - value
						}
					}
					checkInt8(t, 5, cols, m.codes, q, n)
				}
			}
		}
	})
}

// checkInt8Groups compares with the definition in float64, where every step of the sums is
// exact to the last bit.
func (m *grouped) checkInt8Groups(t *testing.T, q []int8, n int, exact bool) {
	t.Helper()
	scales, y := divisors(n), newGuarded(random(n*m.rows, 6))
	if exact {
		for i := range scales {
			scales[i] = 4
		}
	}
	TernaryGroupMatMulI8(y.inside, m.codes, m.scales, m.group, q, scales, m.rows, m.cols, n)
	what := fmt.Sprintf("TernaryGroupMatMulI8 of %d×%d, groups of %d, %d vectors", m.rows, m.cols, m.group, n)
	y.check(t, what)
	for v := range n {
		for r := range m.rows {
			want, size := 0.0, 0.0
			for c := range m.cols {
				term := m.weight(r, c) * float64(q[v*m.cols+c]) / float64(scales[v])
				want += term
				size += math.Abs(term)
			}
			bound := roundings(size, m.cols)
			if exact {
				bound = 0
			}
			if got := float64(y.inside[v*m.rows+r]); !(math.Abs(got-want) <= bound) {
				t.Fatalf("%s: y[%d,%d] is %v, want %v", what, v, r, got, want)
			}
		}
	}
}

func TestTernaryGroupMatMulI8(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		eachGrouped(func(m *grouped) {
			for n := range 10 {
				m.checkInt8Groups(t, randomInt8(n*m.cols, 7), n, false)
			}
		})
		for _, group := range []int{2048, 2048 + 32, 2400, 67 * 32} {
			m := randomGrouped(5, 2*group, group)
			m.checkInt8Groups(t, randomInt8(5*m.cols, 7), 5, false)
		}
	})
}

// TestTernaryGroupMatMulI8OfExtremes has scales that are powers of 2, 0, or among the smallest of
// float16, so that nothing is rounded.
func TestTernaryGroupMatMulI8OfExtremes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, group := range []int{32, 96, 2048, 4096} {
			m := randomGrouped(5, 4*group, group)
			for i := range m.scales {
				m.scales[i] = []uint16{0x3c00, 0, 0xc000, 0x4400}[i%4]
				if i/4%2 == 0 {
					m.scales[i] = []uint16{0x0001, 0, 0x8004, 0x8000}[i%4]
				}
			}
			for code := range byte(3) {
				m.fill(code)
				for _, value := range []int8{-128, 127} {
					q := make([]int8, 5*m.cols)
					for i := range q {
						q[i] = value
					}
					m.checkInt8Groups(t, q, 5, true)
				}
			}
		}
	})
}

func TestInt8ProductsAreOneByOne(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		m := randomGrouped(1003, 640, 64)
		const n, odd = 6, 640 - 3
		q, scales := randomInt8(n*m.cols, 5), divisors(n)
		oneByOne(t, m.rows, n, func(y []float32, from, n int) {
			TernaryGroupMatMulI8(y, m.codes, m.scales, 64, q[from*m.cols:(from+n)*m.cols], scales[from:from+n], m.rows, m.cols, n)
		})
		oneByOne(t, m.rows, n, func(y []float32, from, n int) {
			TernaryMatMulI8(y, m.codes, q[from*odd:(from+n)*odd], scales[from:from+n], m.rows, odd, n)
		})
	})
}

// TestPackInt8 compares with the definition, corrections included.
func TestPackInt8(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, chunks := range []int{1, 3} {
			for _, units := range []int{1, 2, 5, maxPer} {
				q := randomInt8(chunks*units*unitLength, 1)
				want, got := make([]int8, chunks*(units+1)*unitLength), make([]int8, chunks*(units+1)*unitLength)
				packInt8Scalar(&want[0], &q[0], chunks, units)
				active.Load().packInt8(&got[0], &q[0], chunks, units)
				sum, corrections := 0, 0
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%d chunks of %d: byte %d is %d, want %d", chunks, units, i, got[i], want[i])
					}
				}
				for _, v := range q {
					sum += int(v)
				}
				for c := range chunks {
					chunk := got[c*(units+1)*unitLength:]
					for i := 0; i < unitLength; i += 2 {
						corrections += int(int16(uint16(uint8(chunk[i])) | uint16(uint8(chunk[i+1]))<<8))
					}
				}
				if corrections != -sum {
					t.Errorf("corrections add up to %d, want %d", corrections, -sum)
				}
			}
		}
	})
}

func TestQuantizeI8(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachLevel(t, func(t *testing.T) {
		check := func(x []float32) {
			t.Helper()
			largest := float32(1e-5)
			for _, v := range x {
				if a := float32(math.Abs(float64(v))); a > largest {
					largest = a
				}
			}
			whole := make([]int8, len(x)+16)
			scale := QuantizeI8(whole[8:8+len(x)], x)
			if want := 127 / largest; scale != want {
				t.Fatalf("scale of %d elements is %v, want %v", len(x), scale, want)
			}
			for i, got := range whole {
				want := int8(0)
				if i >= 8 && i < 8+len(x) {
					want = -128
					if p := float64(x[i-8] * scale); p == p {
						want = int8(max(-128, min(127, math.RoundToEven(p))))
					}
				}
				if got != want {
					t.Fatalf("element %d of %d is %d, want %d", i-8, len(x), got, want)
				}
			}
		}
		for _, n := range sizes {
			x := random(n, 1)
			check(x)
			for i := range x { // halves: the scale is 1
				x[i] = float32(i%253-127) + 0.5
			}
			if n > 0 {
				x[n/2] = 127
			}
			check(x)
			clear(x)
			check(x)
			for at := range n {
				clear(x)
				x[at] = -1e-7 * float32(at)
				check(x)
			}
			if n > 0 {
				x = random(n, 2)
				x[n/2] = nan
				check(x)
				x[n/2] = -inf
				check(x)
				x[n/2] = math.MaxFloat32
				check(x)
			}
		}
	})
}

func TestInt8ProductsDoNotAllocate(t *testing.T) {
	m := randomGrouped(300, 512, 128)
	x, y := random(5*512, 1), make([]float32, 5*300)
	q, scales := make([]int8, 5*512), make([]float32, 5)
	odd := randomGrouped(300, 510, 510)
	eachLevel(t, func(t *testing.T) {
		noAllocations(t, "int8", func() {
			for i := range scales {
				scales[i] = QuantizeI8(q[i*512:(i+1)*512], x[i*512:(i+1)*512])
			}
			TernaryGroupMatMulI8(y, m.codes, m.scales, 128, q, scales, m.rows, m.cols, 5)
			TernaryMatMulI8(y, m.codes, q, scales, m.rows, m.cols, 5)
			TernaryMatMulI8(y, odd.codes, q[:5*510], scales, odd.rows, odd.cols, 5)
		})
	})
}

func TestInt8ProductsRefuseWrongLengths(t *testing.T) {
	m, q, y, s := randomGrouped(3, 192, 64), make([]int8, 192), make([]float32, 3), []float32{1}
	panics(t, "group", func() { TernaryGroupMatMulI8(y, m.codes, m.scales[:3*4], 48, q, s, 3, 192, 1) })
	panics(t, "weights' scales", func() { TernaryGroupMatMulI8(y, m.codes, m.scales[1:], 64, q, s, 3, 192, 1) })
	panics(t, "scales of a group product", func() { TernaryGroupMatMulI8(y, m.codes, m.scales, 64, q, nil, 3, 192, 1) })
	panics(t, "q", func() { TernaryMatMulI8(y, m.codes, q[1:], s, 3, 192, 1) })
	panics(t, "codes", func() { TernaryMatMulI8(y, m.codes[1:], q, s, 3, 192, 1) })
	panics(t, "scales", func() { TernaryMatMulI8(y, m.codes, q, nil, 3, 192, 1) })
	panics(t, "QuantizeI8", func() { QuantizeI8(q, y) })
}
