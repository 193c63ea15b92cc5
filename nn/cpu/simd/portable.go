package simd

import "math"

// portable has every kernel in plain Go. Products with rows are compared with definitions in the tests; the others are the
// definition of what they compute.
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
	dequantize:      dequantizeScalar,
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
	float:           fourOnes(floatOne),
	half:            fourOnes(halfOne),
	bfloat:          fourOnes(bfloatOne),
	int8:            fourOnes(int8One),
	ternary:         fourOnes(ternaryOneTable),
	group:           groupKernels{groupOneTable, groupFour(groupOneTable)},
	codes:           codesFour(codesOneTable),
	groupCodes:      codesFour(groupCodesOneTable),
	packInt8:        packInt8Scalar,
	absMax:          absMaxScalar,
	quantizeInt8:    quantizeInt8Scalar,
	ternaryDecode:   ternaryDecodeScalar,
	ternaryQuantize: ternaryQuantizeScalar,
	magnitudes:      magnitudesScalar,
	fmaLoop:         fmaLoopScalar,
}

// dotScalar has four sums, so that an addition does not wait for the one before.
func dotScalar(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	y = y[:len(x)]
	for ; len(x) >= 4 && len(y) >= 4; x, y = x[4:], y[4:] {
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
	}
	for i, v := range x {
		s0 += v * y[i]
	}
	return s0 + s1 + (s2 + s3)
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
	y = y[:len(x)]
	for ; len(x) >= 4 && len(y) >= 4; x, y = x[4:], y[4:] {
		y[0] += alpha * x[0]
		y[1] += alpha * x[1]
		y[2] += alpha * x[2]
		y[3] += alpha * x[3]
	}
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

// fourOnes makes a kernel of four vectors from the kernel of one.
func fourOnes[W any](one func(y []float32, w []W, x []float32, cols int)) rowKernels[W] {
	return rowKernels[W]{one, func(y []float32, w []W, x []float32, rows, cols, step int) {
		for v := range 4 {
			one(y[v*step:][:rows], w, x[v*cols:(v+1)*cols], cols)
		}
	}}
}

func floatOne(y, w, x []float32, cols int) {
	for r := range y {
		y[r] = dotScalar(x, w[r*cols:(r+1)*cols])
	}
}

func halfOne(y []float32, w []uint16, x []float32, cols int) {
	for r := range y {
		y[r] = dotHalfScalar(x, w[r*cols:(r+1)*cols])
	}
}

func bfloatOne(y []float32, w []uint16, x []float32, cols int) {
	for r := range y {
		row, x := w[r*cols:(r+1)*cols], x
		var s0, s1, s2, s3 float32
		for ; len(x) >= 4 && len(row) >= 4; x, row = x[4:], row[4:] {
			s0 += x[0] * bfloat(row[0])
			s1 += x[1] * bfloat(row[1])
			s2 += x[2] * bfloat(row[2])
			s3 += x[3] * bfloat(row[3])
		}
		for i, v := range x {
			s0 += v * bfloat(row[i])
		}
		y[r] = s0 + s1 + (s2 + s3)
	}
}

func int8One(y []float32, w []int8, x []float32, cols int) {
	for r := range y {
		row, x := w[r*cols:(r+1)*cols], x
		var s0, s1, s2, s3 float32
		for ; len(x) >= 4 && len(row) >= 4; x, row = x[4:], row[4:] {
			s0 += x[0] * float32(row[0])
			s1 += x[1] * float32(row[1])
			s2 += x[2] * float32(row[2])
			s3 += x[3] * float32(row[3])
		}
		for i, v := range x {
			s0 += v * float32(row[i])
		}
		y[r] = s0 + s1 + (s2 + s3)
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
		// round(q), clamped to ±1, is ±1 exactly where |q| ≥ ½.
		switch q := v / gamma; {
		case q >= 0.5:
			codes[i/4] += 1 << (i % 4 * 2)
		case q <= -0.5:
			codes[i/4] -= 1 << (i % 4 * 2)
		}
	}
}

func magnitudesScalar(w []float32, totals *float64, least, most *uint32) {
	var sums [4]float64
	low, high := uint32(math.MaxUint32), uint32(0)
	for i, x := range w {
		number := math.Float32bits(x) &^ (1 << 31)
		sums[i%4] += float64(math.Float32frombits(number))
		low, high = min(low, number-1), max(high, number)
	}
	*totals, *least, *most = sums[0]+sums[1]+(sums[2]+sums[3]), low, high
}
