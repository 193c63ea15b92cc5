package simd

import (
	"fmt"
	"math"
	"math/bits"
	"testing"

	"bitgpu/nn/ternary"

	"pgregory.net/rapid"
)

// Sums are those of [ternary.Sum.Add], whole number by whole number: of weights so alike that all of them are added up in float64,
// of some too small for that, of denormals, zeros and numbers that are not finite.
func TestAddMagnitudes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(0, 3*magnitudesPart).Draw(t, "n")
			middle := rapid.IntRange(0, 255).Draw(t, "exponent")
			spread := rapid.IntRange(0, 40).Draw(t, "spread")
			r := rapid.Uint64().Draw(t, "seed")
			w := random(n, r)
			for i := range w {
				exponent := min(max(middle+(int(math.Float32bits(w[i])%64)-32)*spread/32, 0), 255)
				bits := math.Float32bits(w[i])
				w[i] = math.Float32frombits(bits&^(255<<23) | uint32(exponent)<<23)
				if bits%17 == 0 {
					w[i] = 0
				}
			}
			var got, want ternary.Sum
			AddMagnitudes(&got, w)
			want.Add(w)
			if g, w := got.Gamma(1), want.Gamma(1); got.Finite() != want.Finite() || math.Float32bits(g) != math.Float32bits(w) {
				t.Fatalf("got %v, want %v", g, w)
			}
			for _, n := range []int{2, 3, 1 << 20} { // other roundings see other bits
				if g, w := got.Gamma(n), want.Gamma(n); math.Float32bits(g) != math.Float32bits(w) {
					t.Fatalf("divided by %d: got %v, want %v", n, g, w)
				}
			}
		})
	})
}

// What is added in float64 is exact just as long as AddTotal says so: one more doubling of the range, and it refuses.
func TestAddTotalRefusesWhatMayHaveRounded(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 1 << 10, 1 << 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			widest := 29 - bits.Len(uint(n-1))               // between the exponents
			most := math.Float32bits(math.Nextafter32(1, 0)) // all bits of its significand are set
			for apart, want := range map[int]bool{widest: true, widest + 1: false} {
				least := most&(255<<23) - uint32(apart)<<23 | 1
				total := float64(n-1)*float64(math.Float32frombits(most)) + float64(math.Float32frombits(least))
				var got, exact ternary.Sum
				if ok := got.AddTotal(total, n, least, most); ok != want {
					t.Fatalf("exponents %d apart: got %v, want %v", apart, ok, want)
				}
				if !want {
					continue
				}
				for range n - 1 {
					exact.Add([]float32{math.Float32frombits(most)})
				}
				exact.Add([]float32{math.Float32frombits(least)})
				for _, divisor := range []int{1, 3, n} {
					if g, w := got.Gamma(divisor), exact.Gamma(divisor); g != w {
						t.Fatalf("exponents %d apart, divided by %d: got %v, want %v", apart, divisor, g, w)
					}
				}
			}
		})
	}
}

func TestAddMagnitudesDoesNotAllocate(t *testing.T) {
	w := random(1000, 1)
	var sum ternary.Sum
	eachLevel(t, func(t *testing.T) {
		if n := testing.AllocsPerRun(10, func() { AddMagnitudes(&sum, w) }); n > 0 {
			t.Errorf("got %v allocations, want none", n)
		}
	})
}
