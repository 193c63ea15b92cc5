package simd

import (
	"math"
	"sync"

	"github.com/x448/float16"
)

// half returns the value of a float16: its exponent and fraction in their places of a float32, times the power of two between the
// two biases, which is right for subnormal numbers, too.
func half(bits uint16) float32 {
	magnitude := uint32(bits&0x7fff) << 13
	if bits&0x7c00 == 0x7c00 { // infinite or NaN
		return math.Float32frombits(uint32(bits&0x8000)<<16 | magnitude | 0x7f800000)
	}
	return math.Float32frombits(uint32(bits&0x8000)<<16|magnitude) * 0x1p112
}

// bfloat returns the value of a bfloat16, which is the upper half of a float32.
func bfloat(bits uint16) float32 { return math.Float32frombits(uint32(bits) << 16) }

// halves holds the values of all float16s: for single elements, a lookup takes a third of the time of a conversion.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for bits := range t {
		t[bits] = half(uint16(bits))
	}
	return t
})

func dotHalfScalar(x []float32, y []uint16) float32 {
	var s0, s1, s2, s3 float32
	t := halves()
	y = y[:len(x)]
	for ; len(x) >= 4 && len(y) >= 4; x, y = x[4:], y[4:] {
		s0 += x[0] * t[y[0]]
		s1 += x[1] * t[y[1]]
		s2 += x[2] * t[y[2]]
		s3 += x[3] * t[y[3]]
	}
	for i, v := range x {
		s0 += v * t[y[i]]
	}
	return s0 + s1 + (s2 + s3)
}

func axpyHalfScalar(alpha float32, x []uint16, y []float32) {
	t := halves()
	y = y[:len(x)]
	for i, v := range x {
		y[i] += alpha * t[v]
	}
}

func widenScalar(dst []float32, src []uint16) {
	t := halves()
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = t[v]
	}
}

func narrowScalar(dst []uint16, src []float32) {
	for i, v := range src {
		dst[i] = float16.Fromfloat32(v).Bits()
	}
}
