package quants

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/x448/float16"
)

// random is a matrix of any bits, with scales around 1.
func random(k Kind, rows, cols int, seed uint64) *Matrix {
	m, r := New(k, rows, cols), rand.New(rand.NewPCG(seed, uint64(k)))
	for i := range m.Codes {
		m.Codes[i] = byte(r.Uint32())
	}
	one := func() uint32 { return uint32(float16.Fromfloat32(float32(r.NormFloat64())).Bits()) }
	for i := range m.Scales {
		if m.Scales[i] = r.Uint32(); k.Span() == unit || i%spanWords == 0 {
			m.Scales[i] = one() | one()<<16
		}
	}
	return m
}

func eachKind(t *testing.T, test func(t *testing.T, k Kind)) {
	for k := range kinds {
		t.Run(k.String(), func(t *testing.T) { test(t, k) })
	}
}

// The fast ways to numbers and scales are the definition's, from any column on.
func TestUnpackAndFactors(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		for _, cols := range []int{k.Span(), 3 * k.Span(), 1024} {
			m := random(k, 3, cols, 1)
			want, floats := make([]float32, cols), make([]float32, cols)
			for r := range m.Rows {
				Row(want, m, r)
				if m.Floats(floats, r); !slices.Equal(floats, want) {
					t.Fatalf("%d columns, row %d: got %v, want %v", cols, r, floats, want)
				}
				for first := 0; first < cols; first += k.Span() {
					n := cols - first
					numbers, scales, minima := make([]byte, n), make([]float32, n/FactorUnit), make([]float32, n/FactorUnit)
					m.Unpack(numbers, r, first)
					m.Factors(scales, minima, r, first)
					for i, q := range numbers {
						number := int(q)
						if k == Q8_0 {
							number = int(int8(q))
						}
						got := float32(scales[i/FactorUnit]*float32(number-k.Centre())) - minima[i/FactorUnit]
						if got != want[first+i] {
							t.Fatalf("%d columns, row %d, weight %d: got %v, want %v", cols, r, first+i, got, want[first+i])
						}
					}
				}
			}
		}
	})
}

// What is packed is unpacked again, and every bit of a row is some number's.
func TestPack(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		m := random(k, 4, 512, 2)
		again, row := New(k, 4, 512), make([]byte, 512)
		for r := range m.Rows {
			m.Unpack(row, r, 0)
			again.Pack(r, row)
		}
		if !slices.Equal(again.Codes, m.Codes) {
			t.Error("the bytes differ")
		}
	})
}

func TestHalf(t *testing.T) {
	for bits := range uint32(1 << 16) {
		if h := float16.Frombits(uint16(bits)); h.IsFinite() && half(bits) != h.Float32() {
			t.Fatalf("%#04x is %v, want %v", bits, half(bits), h.Float32())
		}
	}
}

// A few weights by hand.
func TestKnown(t *testing.T) {
	const one, two = 0x3c00, 0x4000
	set := func(k Kind, cols, at int, number byte, words ...uint32) float32 {
		m, numbers, row := New(k, 2, cols), make([]byte, cols), make([]float64, cols)
		numbers[at] = number
		m.Pack(1, numbers)
		copy(m.Words(1)[at/k.Span()*len(words):], words)
		Row(row, m, 1)
		return float32(row[at])
	}
	for _, c := range []struct {
		name      string
		got, want float32
	}{
		{"Q8_0", set(Q8_0, 64, 5, 0x83, two), -250},
		{"Q4_0", set(Q4_0, 32, 31, 3, two), -10},
		{"Q4_K", set(Q4_K, 512, 256+35, 9, one|two<<16, 3<<8, 0, 5<<8, 0), 9*3 - 2*5},
		{"Q6_K", set(Q6_K, 256, 255, 61, two, 0, 0, 0, 0xfe<<24), 2 * -2 * 29},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	for k, want := range []float64{8.5, 4.5, 4.625, 6.625} {
		m := New(Kind(k), 2, 1024)
		if got := float64(8*m.Bytes()) / 2048; got != want {
			t.Errorf("%v: got %v bits a weight, want %v", Kind(k), got, want)
		}
	}
	if (*Matrix)(nil).Bytes() != 0 {
		t.Error("no matrix takes bytes")
	}
}
