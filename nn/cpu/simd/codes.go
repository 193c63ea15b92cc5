package simd

import "bitgpu/nn/cpu/parallel"

// codesKernels are products of packed ternary rows with vectors in int8. The codes of a unit of 32
// weights are 8 bytes; a vector is packed in their order, first the 8 elements that the lowest two bits
// multiply, then those of the next two bits. A chunk is `per` units, or the rest of the vector.
// Because codes are Q+1, a correction precedes a chunk: 16 int16 whose sum is minus the sum of its
// elements. The rows' codes lie stride bytes apart, and 8 bytes can be read for each unit.
type codesKernels struct {
	// one sets y to len(y) rows' products with one vector, over divisor.
	one func(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisor float32)
	// four does the same for four vectors: y[v·step+r].
	four func(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisors []float32, rows, step int)
}

// maxPer is the largest number of units of a chunk: with the correction, each of the sums in 16 bits
// ends within ±2¹⁴.
const maxPer = 64

const (
	unitLength = groupUnit
	unitBytes  = unitLength / 4 // of codes
)

// QuantizeI8 sets q = clamp(round(x·s), −128, 127), halves rounded to even, and returns s = 127 /
// max(max |x|, 10⁻⁵). A NaN becomes −128.
func QuantizeI8(q []int8, x []float32) (scale float32) {
	checkSame("QuantizeI8", len(q), len(x))
	k := active.Load()
	scale = 127 / max(k.absMax(x), 1e-5)
	whole := len(x) / unitLength * unitLength
	if whole > 0 {
		k.quantizeInt8(q[:whole], x[:whole], scale)
	}
	quantizeInt8Scalar(q[whole:], x[whole:], scale) // the same to the last bit: there is one way to round
	return scale
}

// TernaryMatMulI8 sets y (n, rows) to the sums of Q[r][c]·q[i][c], exact, over scales[i], for packed
// ternary Q (rows, cols), as of TernaryMatVec, and q (n, cols) with scales (n), the results of QuantizeI8.
// The result for a code 3 is undefined. Row i of y is what row i of q alone gives.
func TernaryMatMulI8(y []float32, codes []byte, q []int8, scales []float32, rows, cols, n int) {
	checkMatMul("TernaryMatMulI8", len(y), len(codes), len(q), rows, cols, ternaryStride(cols), n)
	checkSame("TernaryMatMulI8", len(scales), n)
	j := codesJobs.get()
	k := active.Load()
	j.codesOperands = codesOperands{k: k, kern: &k.codes, y: y, codes: codes, q: q, divisors: scales, rows: rows, cols: cols, n: n, per: maxPer}
	j.run()
}

// TernaryGroupMatMulI8 is TernaryMatMulI8 with a scale for each group of weights, as
// TernaryGroupMatMul has them: y[i][r] is the sum, in float32, of w[r][g] times the group's part of the
// integer sum, which is exact, over scales[i].
func TernaryGroupMatMulI8(y []float32, codes []byte, w []uint16, group int, q []int8, scales []float32, rows, cols, n int) {
	checkMatMul("TernaryGroupMatMulI8", len(y), len(codes), len(q), rows, cols, ternaryStride(cols), n)
	checkGroups("TernaryGroupMatMulI8", len(w), group, rows, cols)
	checkSame("TernaryGroupMatMulI8", len(scales), n)
	j := codesJobs.get()
	k := active.Load()
	j.codesOperands = codesOperands{k: k, kern: &k.groupCodes, y: y, codes: codes, w: w, q: q, divisors: scales, rows: rows, cols: cols, n: n}
	units := group / unitLength
	j.times = ceilDiv(units, maxPer)
	for units%j.times != 0 { // equal parts
		j.times++
	}
	j.per = units / j.times
	j.run()
}

type codesOperands struct {
	k             *kernels
	kern          *codesKernels
	y             []float32
	codes         []byte
	w             []uint16 // nil: 1
	q             []int8
	divisors      []float32
	rows, cols, n int

	units, per, chunks int
	times              int // chunks of a group
	safe               int // rows after which 8 bytes of codes are there for each unit
}

// codesJob is one product. Its buffers are kept for the next one.
type codesJob struct {
	codesOperands
	packed []int8 // vectors, each of them packedLen long
	last   []byte // codes of the rows from safe on, and what may be read behind them
}

var codesJobs = newFreeList[codesJob]()

// chunkCodes is the number of multiply-adds below which handing work to another
// core costs more than it saves.
const chunkCodes = 1 << 17

func (j *codesJob) run() {
	switch {
	case j.rows == 0 || j.n == 0:
	case j.cols == 0:
		clear(j.y)
	default:
		j.units = ceilDiv(j.cols, unitLength)
		j.chunks = ceilDiv(j.units, j.per)
		j.packed = grow(j.packed, j.n*j.packedLen())
		parallel.For(j.n, chunkCodes/j.cols+1, (*vectorPhase)(j))
		j.copyLast()
		parallel.For(j.rows, rowGrain(chunkCodes, j.cols*j.n), j)
	}
	j.codesOperands = codesOperands{}
	codesJobs.put(j)
}

func (j *codesJob) packedLen() int { return (j.units + j.chunks) * unitLength }

// copyLast copies the last rows if their codes end within a unit, so that reading can go beyond them.
func (j *codesJob) copyLast() {
	stride := ternaryStride(j.cols)
	j.safe = j.rows
	if behind := j.units*unitBytes - stride; behind > 0 {
		j.safe = max(j.rows-ceilDiv(behind, stride), 0)
		j.last = grow(j.last, (j.rows-j.safe)*stride+behind)
		clear(j.last[copy(j.last, j.codes[j.safe*stride:]):])
	}
}

// vectorPhase packs vectors.
type vectorPhase codesJob

func (p *vectorPhase) Run(start, end int) {
	length := (*codesJob)(p).packedLen()
	for v := start; v < end; v++ {
		dst, q := p.packed[v*length:(v+1)*length], p.q[v*p.cols:(v+1)*p.cols]
		whole := p.cols / (p.per * unitLength)
		if whole > 0 {
			p.k.packInt8(&dst[0], &q[0], whole, p.per)
		}
		if whole < p.chunks {
			rest := restRooms.get()
			n := copy(rest[:], q[whole*p.per*unitLength:])
			clear(rest[n:])
			p.k.packInt8(&dst[whole*(p.per+1)*unitLength], &rest[0], 1, ceilDiv(n, unitLength))
			restRooms.put(rest)
		}
	}
}

var restRooms = newFreeList[[maxPer * unitLength]int8]()

// Run computes rows start to end of the result.
func (j *codesJob) Run(start, end int) {
	stride := ternaryStride(j.cols)
	if start < j.safe {
		j.blocks(start, min(end, j.safe))
	}
	if j.safe < end {
		j.block(max(start, j.safe), end, j.last[max(start-j.safe, 0)*stride:], nil)
	}
}

// blocks computes rows start to end, which do not exceed safe.
func (j *codesJob) blocks(start, end int) {
	stride := ternaryStride(j.cols)
	scales := scaleRooms.get()
	for start < end {
		var w []float32
		stop := end
		if j.n > 4 || j.w != nil {
			stop = min(end, start+rowsOfBlock(stride, j.chunks))
		}
		if j.w != nil {
			groups := j.chunks / j.times
			w = scales.widened(j.k, j.w[start*groups:stop*groups], j.times)
		}
		j.block(start, stop, j.codes[start*stride:], w)
		start = stop
	}
	scaleRooms.put(scales)
}

func (j *codesJob) block(start, end int, codes []byte, w []float32) {
	stride, length := ternaryStride(j.cols), j.packedLen()
	v := 0
	for ; v+4 <= j.n; v += 4 {
		j.kern.four(j.y[v*j.rows+start:], codes, stride, w, j.packed[v*length:(v+4)*length], j.units, j.per, j.chunks,
			j.divisors[v:v+4], end-start, j.rows)
	}
	for ; v < j.n; v++ {
		j.kern.one(j.y[v*j.rows+start:v*j.rows+end], codes, stride, w, j.packed[v*length:(v+1)*length], j.units, j.per, j.chunks,
			j.divisors[v])
	}
}
