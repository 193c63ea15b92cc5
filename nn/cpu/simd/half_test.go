package simd

import (
	"fmt"
	"math"
	"testing"
)

func randomHalves(n int, seed uint64) []uint16 {
	h := make([]uint16, n)
	narrowScalar(h, random(n, seed))
	return h
}

// dotF16 and axpyF16 are the kernels that single rows of a cache are read with.
func dotF16(x []float32, y []uint16) float32 { return active.Load().dotHalf(x, y) }

func axpyF16(alpha float32, x []uint16, y []float32) { active.Load().axpyHalf(alpha, x, y) }

func TestHalfVectors(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range sizes {
			x, h := random(n, 1), randomHalves(n, 2)
			want, size := 0.0, 0.0
			for i, v := range x {
				term := float64(v) * float64(half(h[i]))
				want += term
				size += math.Abs(term)
			}
			if got := float64(dotF16(x, h)); !(math.Abs(got-want) <= roundings(size, n)) {
				t.Errorf("DotF16 of %d: %v, want %v", n, got, want)
			}

			start := random(n, 3)
			sum, whole := append([]float32(nil), start...), newGuarded(start)
			axpyHalfScalar(-0.7, h, sum)
			axpyF16(-0.7, h, whole.inside)
			near(t, fmt.Sprintf("AxpyF16 of %d", n), whole.inside, sum, 1e-7, 1e-6)
			whole.check(t, "AxpyF16")
		}
	})
}

// TestAxpyF16PlaceDoesNotMatter: an element's result is the same in a full register and in the tail.
func TestAxpyF16PlaceDoesNotMatter(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const n = 77
		h, whole := randomHalves(n, 1), random(n, 2)
		axpyF16(0.3, h, whole)
		for from := range n {
			part := random(n, 2)[from:]
			axpyF16(0.3, h[from:], part)
			near(t, fmt.Sprintf("AxpyF16 from %d", from), part, whole[from:], 0, 0)
		}
	})
}

func TestFloat32sOfAllHalves(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		all, got := make([]uint16, 1<<16), make([]float32, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		Float32s(got, all)
		for i, v := range got {
			want := math.Ldexp(float64(i&0x3ff|0x400), i>>10&31-25)
			switch i >> 10 & 31 {
			case 0:
				want = math.Ldexp(float64(i&0x3ff), -24)
			case 31:
				want = math.Inf(1)
				if i&0x3ff != 0 {
					want = math.NaN()
				}
			}
			if i >= 1<<15 {
				want = -want
			}
			if float64(v) != want && !(math.IsNaN(want) && v != v) {
				t.Fatalf("%#04x is %v, want %v", i, v, want)
			}
		}
	})
}

// TestFloat16sRoundsToNearest tries every float16, the middle between it and the next one, and the
// neighbours of that.
func TestFloat16sRoundsToNearest(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		var x []float32
		var want []uint16
		add := func(v float32, bits uint16) {
			x, want = append(x, v, -v), append(want, bits, bits|1<<15)
		}
		const infinity = 0x7c00
		for h := uint16(0); h < infinity; h++ {
			low, high := half(h), half(h+1)
			if h+1 == infinity {
				high = 65536 // where the exponent would go on
			}
			middle, even := (low+high)/2, h+h&1
			add(low, h)
			add(middle, even)
			add(math.Nextafter32(middle, 0), h)
			add(math.Nextafter32(middle, 1e6), h+1)
		}
		add(math.MaxFloat32, infinity)
		add(float32(math.Inf(1)), infinity)
		add(math.SmallestNonzeroFloat32, 0)
		got := make([]uint16, len(x))
		Float16s(got, x)
		for i := range x {
			if got[i] != want[i] {
				t.Fatalf("%v becomes %#04x, want %#04x", x[i], got[i], want[i])
			}
		}
		for _, n := range sizes {
			whole := make([]uint16, n+16)
			Float16s(whole[8:8+n], x[1000:1000+n])
			for i, v := range whole {
				expected := uint16(0)
				if i >= 8 && i < 8+n {
					expected = want[1000+i-8]
				}
				if v != expected {
					t.Fatalf("Float16s of %d: element %d is %#04x, want %#04x", n, i-8, v, expected)
				}
			}
		}
		Float16s(got[:1], []float32{float32(math.NaN())})
		if v := half(got[0]); v == v {
			t.Errorf("NaN becomes %v", v)
		}
	})
}

func TestHalfVectorsDoNotAllocate(t *testing.T) {
	x, h := random(300, 1), randomHalves(300, 2)
	eachLevel(t, func(t *testing.T) {
		noAllocations(t, "halves", func() {
			axpyF16(dotF16(x, h)*1e-9, h, x)
			Float16s(h, x)
			Float32s(x, h)
		})
	})
	panics(t, "Float16s", func() { Float16s(h, x[1:]) })
	panics(t, "Float32s", func() { Float32s(x[1:], h) })
}
