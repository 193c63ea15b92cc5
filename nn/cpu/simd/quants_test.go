package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"bitgpu/nn/quants"
)

// quantsKinds lists all kinds.
var quantsKinds = []quants.Kind{quants.Q8_0, quants.Q4_0, quants.Q4_K, quants.Q6_K}

// randomQuants returns a matrix of random numbers and factors, with finite float16 scales.
func randomQuants(k quants.Kind, rows, cols int) *quants.Matrix {
	m, r := quants.New(k, rows, cols), rand.New(rand.NewPCG(uint64(k), uint64(cols)))
	for i := range m.Codes {
		m.Codes[i] = byte(r.Uint32())
	}
	for i := range rows {
		words := m.Words(i)
		for block := range cols / k.Span() {
			var factors, minima [16]byte
			for j := range factors {
				factors[j], minima[j] = byte(r.Uint32()), byte(r.Uint32())
			}
			d := func() uint16 { return float16.Fromfloat32(float32(r.NormFloat64())).Bits() }
			m.SetScale(words, block, d(), d(), &factors, &minima)
		}
	}
	return m
}

// A row agrees with its definition to the bit on every level: products are exact up to one rounding, and so are differences.
func TestQuantsRow(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, k := range quantsKinds {
			for _, cols := range []int{k.Span(), 5 * k.Span(), 1024, 1024 + k.Span(), 2560} {
				m := randomQuants(k, 3, cols)
				want, got := make([]float32, cols), newGuarded(random(cols, 3))
				for r := range m.Rows {
					quants.Row(want, m, r)
					QuantsRow(got.inside, m, r)
					what := fmt.Sprintf("row %d of %d columns of %v", r, cols, k)
					near(t, what, got.inside, want, 0, 0)
					got.check(t, what)
				}
			}
		}
	})
	panics(t, "QuantsRow", func() { QuantsRow(make([]float32, 31), randomQuants(quants.Q8_0, 1, 32), 0) })
}

func TestQuantsMatMul(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, k := range quantsKinds {
			for _, cols := range []int{k.Span(), 5 * k.Span(), 1024 + k.Span()} {
				m := randomQuants(k, 7, cols)
				row, taken := make([]float64, cols), 0.0
				if k == quants.Q4_K {
					taken = 1 << 13 // of each number 8 scales, which the minimum gives back
				}
				for _, n := range []int{0, 1, 2, 5} {
					x, y := random(n*cols, 5), newGuarded(random(n*m.Rows, 6))
					QuantsMatMul(y.inside, m, x, n)
					what := fmt.Sprintf("%v of 7×%d with %d vectors", k, cols, n)
					y.check(t, what)
					for r := range m.Rows {
						quants.Row(row, m, r)
						for v := range n {
							want, size := 0.0, 0.0
							for c, w := range row {
								want += w * float64(x[v*cols+c])
								size += (math.Abs(w) + taken) * math.Abs(float64(x[v*cols+c]))
							}
							if got := float64(y.inside[v*m.Rows+r]); !(math.Abs(got-want) <= roundings(size, cols)) {
								t.Fatalf("%s: y[%d,%d] is %v, want %v", what, v, r, got, want)
							}
							alone := make([]float32, m.Rows)
							QuantsMatMul(alone, m, x[v*cols:(v+1)*cols], 1)
							near(t, what+", alone", alone, y.inside[v*m.Rows:(v+1)*m.Rows], 0, 0)
						}
					}
				}
			}
		}
	})
	panics(t, "QuantsMatMul", func() { QuantsMatMul(make([]float32, 1), randomQuants(quants.Q8_0, 1, 32), make([]float32, 31), 1) })
}

// TestQuantsMatMulOfWhatIsNotFinite: an infinity or NaN in x gives one in y.
func TestQuantsMatMulOfWhatIsNotFinite(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, k := range quantsKinds {
			for _, bad := range []float64{math.Inf(1), math.NaN()} {
				m, x, y := randomQuants(k, 1, k.Span()), make([]float32, k.Span()), make([]float32, 1)
				x[17] = float32(bad)
				QuantsMatMul(y, m, x, 1)
				if d := float64(y[0]); !math.IsNaN(d - d) {
					t.Errorf("%v: got %v of %v, want what is not finite", k, d, bad)
				}
			}
		}
	})
}

func TestQuantsRowDoesNotAllocate(t *testing.T) {
	m, row := randomQuants(quants.Q6_K, 2, 2560), make([]float32, 2560)
	eachLevel(t, func(t *testing.T) {
		noAllocations(t, "a row", func() { QuantsRow(row, m, 1) })
		noAllocations(t, "a product", func() { QuantsMatMul(row[:2], m, row[:2560], 1) })
	})
}

// BenchmarkQuantsRow counts one byte per weight, and multiplies the row with a vector.
func BenchmarkQuantsRow(b *testing.B) {
	const rows, cols = 64, 2560
	row, x := make([]float32, cols), random(cols, 1)
	for _, k := range quantsKinds {
		m := randomQuants(k, rows, cols)
		for _, l := range Levels() {
			b.Run(fmt.Sprintf("%v/%v", k, l), func(b *testing.B) {
				defer Use(Active())
				if err := Use(l); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(cols)
				sum := float32(0)
				for i := 0; b.Loop(); i++ {
					QuantsRow(row, m, i%rows)
					sum += Dot(row, x)
				}
			})
		}
	}
}

// BenchmarkQuantsMatMul counts the bytes of the matrix, which no cache holds. Its "row" is converting each row to floats and
// multiplying it with a vector.
func BenchmarkQuantsMatMul(b *testing.B) {
	const rows, cols = 16384, 2560
	row, x, y := make([]float32, cols), random(8*cols, 1), make([]float32, 8*rows)
	for _, k := range quantsKinds {
		m := randomQuants(k, rows, cols)
		b.Run(fmt.Sprintf("%v/row", k), func(b *testing.B) {
			b.SetBytes(int64(m.Bytes()))
			for b.Loop() {
				for r := range rows {
					QuantsRow(row, m, r)
					y[r] = Dot(row, x[:cols])
				}
			}
		})
		for _, n := range []int{1, 8} {
			b.Run(fmt.Sprintf("%v/%d", k, n), func(b *testing.B) {
				b.SetBytes(int64(m.Bytes()))
				for b.Loop() {
					QuantsMatMul(y[:n*rows], m, x[:n*cols], n)
				}
			})
		}
	}
}
