package simd

import "math"

// Bounds of the exponential: see activation.go.
const (
	expLowest  = -87.33
	expHighest = 88.37
)

func expScalar(x float32) float32 {
	if x < expLowest {
		return 0
	}
	return float32(math.Exp(float64(min(x, expHighest))))
}

func sigmoidOf(x float32) float32 { return 1 / (1 + expScalar(-x)) }

func expSumScalar(dst, x []float32, shift float32) float64 {
	var sum float64
	for i, v := range x {
		e := expScalar(v - shift)
		sum += float64(e)
		if dst != nil {
			dst[i] = e
		}
	}
	return sum
}

func expFromScalar(dst, x []float32, limit, shift, divisor float32) float64 {
	var sum float64
	for i, v := range x {
		dst[i] = 0
		if v >= limit {
			dst[i] = expScalar((v - shift) / divisor)
			sum += float64(dst[i])
		}
	}
	return sum
}

func sigmoidScalar(dst, x []float32) {
	for i, v := range x {
		dst[i] = sigmoidOf(v)
	}
}

func siluScalar(dst, x []float32) {
	for i, v := range x {
		dst[i] = v * sigmoidOf(v)
	}
}

func siluSlope(x float32) float32 {
	s := sigmoidOf(x)
	return s * (1 + x*(1-s))
}

func siluBackwardScalar(dx, dy, x []float32) {
	for i := range dx {
		dx[i] = dy[i] * siluSlope(x[i])
	}
}

func siluMulScalar(dst, gate, up []float32) {
	for i := range dst {
		dst[i] = gate[i] * sigmoidOf(gate[i]) * up[i]
	}
}

func siluMulBackwardScalar(dgate, dup, dact, gate, up []float32) {
	for i := range dgate {
		da, g, u := dact[i], gate[i], up[i]
		dgate[i] = da * u * siluSlope(g)
		dup[i] = da * g * sigmoidOf(g)
	}
}
