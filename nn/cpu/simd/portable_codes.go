package simd

import (
	"math"
	"unsafe"
)

func absMaxScalar(x []float32) float32 {
	var largest float32
	for _, v := range x {
		if v < 0 {
			v = -v
		}
		if v > largest {
			largest = v
		}
	}
	return largest
}

func quantizeInt8Scalar(q []int8, x []float32, scale float32) {
	for i, v := range x {
		q[i] = -128
		if r := math.RoundToEven(float64(v * scale)); r > -128 { // not for NaN
			q[i] = int8(min(r, 127))
		}
	}
}

func packInt8Scalar(to, from *int8, chunks, units int) {
	dst, q := unsafe.Slice(to, chunks*(1+units)*unitLength), unsafe.Slice(from, chunks*units*unitLength)
	for range chunks {
		var correction [unitLength / 2]int16
		chunk := dst[unitLength:]
		for i, v := range q[:units*unitLength] {
			byteOf, code := i%unitLength/4, i%4
			at := code*unitBytes + byteOf
			chunk[i/unitLength*unitLength+at] = v
			correction[at/2] -= int16(v)
		}
		for i, v := range correction {
			dst[2*i], dst[2*i+1] = int8(v), int8(v>>8)
		}
		dst, q = dst[(1+units)*unitLength:], q[units*unitLength:]
	}
}

// codesFour makes the kernels from the kernel of one vector.
func codesFour(one func(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisor float32)) codesKernels {
	return codesKernels{one, func(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisors []float32, rows, step int) {
		length := (units + chunks) * unitLength
		for v := range 4 {
			one(y[v*step:][:rows], codes, stride, scales, q[v*length:], units, per, chunks, divisors[v])
		}
	}}
}
