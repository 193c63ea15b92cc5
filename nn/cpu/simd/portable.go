package simd

import "math"

// portable is the scalar definition of every kernel.
var portable = kernels{
	level:           Portable,
	dot:             dotScalar,
	sumSquares:      func(x []float32) float32 { return dotScalar(x, x) },
	maximum:         maximumScalar,
	dot3:            dot3Scalar,
	axpy:            axpyScalar,
	scale:           scaleScalar,
	add:             addScalar,
	mul:             mulScalar,
	mulAdd:          mulAddScalar,
	scaledMul:       scaledMulScalar,
	ger:             gerScalar,
	expSum:          expSumScalar,
	expFrom:         expFromScalar,
	sigmoid:         sigmoidScalar,
	silu:            siluScalar,
	siluBackward:    siluBackwardScalar,
	siluMul:         siluMulScalar,
	siluMulBackward: siluMulBackwardScalar,
	rmsNormBackward: rmsNormBackwardScalar,
	adamW:           adamWScalar,
	dotHalf:         dotHalfScalar,
	axpyHalf:        axpyHalfScalar,
	widen:           widenScalar,
	narrow:          narrowScalar,
	gemm: gemmKernels{
		width:     4,
		heights:   []int{4, 1},
		tiles:     []tileFunc{tileScalar4, tileScalar1},
		transpose: transposeScalar,
		gather:    gatherScalar,
		lanes:     4,
		decode:    ternaryDecodeScalar,
	},
	substitute:      substituteScalar,
	float:           scalarRows(func(w []float32, i int) float32 { return w[i] }, func(cols int) int { return cols }),
	half:            scalarRows(func(w []uint16, i int) float32 { return half(w[i]) }, func(cols int) int { return cols }),
	int8:            scalarRows(func(w []int8, i int) float32 { return float32(w[i]) }, func(cols int) int { return cols }),
	ternary:         scalarRows(ternaryWeight, ternaryStride),
	group:           groupKernels{groupOneScalar, groupFourScalar},
	codes:           scalarCodes(codesOneScalar),
	groupCodes:      scalarCodes(groupCodesOneScalar),
	packInt8:        packInt8Scalar,
	absMax:          absMaxScalar,
	quantizeInt8:    quantizeInt8Scalar,
	ternaryDecode:   ternaryDecodeScalar,
	ternaryQuantize: ternaryQuantizeScalar,
	fmaLoop:         fmaLoopScalar,
}

func dotScalar(x, y []float32) float32 {
	var sum float32
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

func dot3Scalar(x, y, z []float32) float32 {
	var sum float32
	for i, v := range x {
		sum += v * y[i] * z[i]
	}
	return sum
}

func maximumScalar(x []float32) float32 {
	largest := x[0]
	for _, v := range x {
		if v > largest {
			largest = v
		}
	}
	return largest
}

func axpyScalar(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] += alpha * v
	}
}

func scaleScalar(alpha float32, x []float32) {
	for i := range x {
		x[i] *= alpha
	}
}

func addScalar(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func mulScalar(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func mulAddScalar(dst, a, b []float32) {
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

func scaledMulScalar(dst []float32, alpha float32, a, b []float32) {
	for i := range dst {
		dst[i] = alpha * a[i] * b[i]
	}
}

func gerScalar(w []float32, alpha float32, e, k []float32) {
	for i, v := range e {
		axpyScalar(alpha*v, k, w[i*len(k):(i+1)*len(k)])
	}
}

func rmsNormBackwardScalar(dx, dgain, dy, x, gain []float32, rstd, pull float32) {
	for i := range dx {
		dgain[i] += dy[i] * x[i] * rstd
		dx[i] += dy[i]*gain[i]*rstd - x[i]*pull
	}
}

func adamWScalar(w, g, m, v []float32, gscale, keep1, add1, keep2, add2, invC2, eps, rate, shrink float32) {
	for i := range w {
		grad := g[i] * gscale
		m[i] = keep1*m[i] + add1*grad
		v[i] = keep2*v[i] + add2*(grad*grad)
		root := float32(math.Sqrt(float64(v[i] * invC2)))
		w[i] = w[i] - shrink*w[i] - rate*m[i]/(root+eps)
	}
}

// scalarRows makes the products with rows of a matrix out of a function that gives
// element i of a row.
func scalarRows[W any](element func(row []W, i int) float32, stride func(cols int) int) rowKernels[W] {
	product := func(row []W, x []float32) float32 {
		var sum float32
		for i, v := range x {
			sum += element(row, i) * v
		}
		return sum
	}
	return rowKernels[W]{
		one: func(y []float32, w []W, x []float32, cols int) {
			for r := range y {
				y[r] = product(w[r*stride(cols):], x)
			}
		},
		four: func(y []float32, w []W, x []float32, rows, cols, step int) {
			for v := range 4 {
				for r := range rows {
					y[v*step+r] = product(w[r*stride(cols):], x[v*cols:(v+1)*cols])
				}
			}
		},
	}
}

// ternaryWeights are the weights that the codes 0 to 3 stand for.
var ternaryWeights = [4]float32{-1, 0, 1, 0}

func ternaryWeight(row []byte, i int) float32 {
	return ternaryWeights[row[i/4]>>(i%4*2)&3]
}

func ternaryDecodeScalar(dst []float32, codes []byte, scale float32) {
	for i := range dst {
		dst[i] = scale * ternaryWeight(codes, i)
	}
}

func ternaryQuantizeScalar(codes []byte, w []float32, gamma float32) {
	for i := range codes {
		codes[i] = 0b01_01_01_01
	}
	for i, v := range w {
		// For a quotient q, round(q) clamped to ±1 is ±1 just where |q| ≥ ½.
		switch q := v / gamma; {
		case q >= 0.5:
			codes[i/4] += 1 << (i % 4 * 2)
		case q <= -0.5:
			codes[i/4] -= 1 << (i % 4 * 2)
		}
	}
}
