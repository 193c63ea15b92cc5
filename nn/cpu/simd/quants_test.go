package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"bitgpu/nn/quants"
)

// quantsKinds are all of them.
var quantsKinds = []quants.Kind{quants.Q8_0, quants.Q4_0, quants.Q4_K, quants.Q6_K}

// randomQuants is a matrix of any numbers and any factors, with scales of float16 that are finite.
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

// A row is its definition's to the bit on every level: products are exact but for one rounding, and so are the differences.
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

func TestQuantsRowDoesNotAllocate(t *testing.T) {
	m, row := randomQuants(quants.Q6_K, 2, 2560), make([]float32, 2560)
	eachLevel(t, func(t *testing.T) {
		noAllocations(t, "a row", func() { QuantsRow(row, m, 1) })
	})
}

// BenchmarkQuantsRow counts a byte a weight, and multiplies the row with a vector.
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
