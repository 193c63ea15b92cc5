package simd

import "github.com/x448/float16"

func half(bits uint16) float32 { return float16.Frombits(bits).Float32() }

func dotHalfScalar(x []float32, y []uint16) float32 {
	var sum float32
	for i, v := range x {
		sum += v * half(y[i])
	}
	return sum
}

func axpyHalfScalar(alpha float32, x []uint16, y []float32) {
	for i, v := range x {
		y[i] += alpha * half(v)
	}
}

func widenScalar(dst []float32, src []uint16) {
	for i, v := range src {
		dst[i] = half(v)
	}
}

func narrowScalar(dst []uint16, src []float32) {
	for i, v := range src {
		dst[i] = float16.Fromfloat32(v).Bits()
	}
}
