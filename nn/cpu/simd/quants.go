package simd

import (
	"fmt"

	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/quants"
)

// quantsDot sets y[v·yStep], of one or four vectors that lie xStep apart in x, to the product of a row's numbers with the vector.
// There is a scale for each 16 numbers. Numbers of 8 bits are in two's complement; others are offset by the middle of their range,
// 8 or 32, and those of 6 bits have their upper two bits at high.
type quantsDot func(y *float32, yStep int, low, high *byte, scales []float32, x *float32, xStep int)

// quantsKernels are nil where converting a row to floats first is as fast. Both kernels sum the product of one row with one vector
// in the same order.
type quantsKernels struct{ one, four quantsDot }

// quantsRoom holds some weights as whole numbers, and their scales.
type quantsRoom struct {
	numbers        [1024]byte
	scales, minima [1024 / quants.FactorUnit]float32
}

var quantsRooms = newFreeList[quantsRoom]()

// QuantsRow writes the weights of row r of m into dst.
func QuantsRow(dst []float32, m *quants.Matrix, r int) {
	checkSame("QuantsRow", len(dst), m.Cols)
	k, centre, room := active.Load(), float32(m.Kind.Centre()), quantsRooms.get()
	for first := 0; first < m.Cols; first += len(room.numbers) {
		q := room.numbers[:min(len(room.numbers), m.Cols-first)]
		n := len(q) / quants.FactorUnit
		scales, minima := room.scales[:n], room.minima[:n]
		m.Unpack(q, r, first)
		m.Factors(scales, minima, r, first)
		k.dequantize(dst[first:first+len(q)], q, scales, minima, centre)
	}
	quantsRooms.put(room)
}

// dequantizeScalar defines kernels.dequantize.
func dequantizeScalar(dst []float32, q []byte, scales, minima []float32, centre float32) {
	for i, x := range q {
		dst[i] = float32(scales[i/quants.FactorUnit]*(float32(int8(x))-centre)) - minima[i/quants.FactorUnit]
	}
}

// QuantsMatMul sets y (n, rows) = x (n, cols) · Wᵀ for few rows of x: each row of W is read once for all of them. Row i of y is the
// same as for row i of x alone.
func QuantsMatMul(y []float32, w *quants.Matrix, x []float32, n int) {
	if n < 0 || len(y) != n*w.Rows || len(x) != n*w.Cols {
		panic(fmt.Sprintf("simd: QuantsMatMul: y %d, x %d elements for rows %d, cols %d, n %d", len(y), len(x), w.Rows, w.Cols, n))
	}
	if n == 0 || w.Rows == 0 {
		return
	}
	if w.Cols == 0 {
		clear(y)
		return
	}
	j := quantsJobs.get()
	j.k, j.y, j.w, j.x, j.n = active.Load(), y, w, x, n
	if w.Kind == quants.Q4_K {
		j.sumUnits()
	}
	parallel.For(w.Rows, rowGrain(chunkElements, w.Cols*n), j)
	j.k, j.y, j.w, j.x = nil, nil, nil, nil
	quantsJobs.put(j)
}

// quantsJob is one product, divided by rows of W. Its buffers are kept for the next one.
type quantsJob struct {
	k    *kernels
	y    []float32
	w    *quants.Matrix
	x    []float32
	n    int
	sums []float32 // of each FactorUnit elements of x, which minima are multiplied by
}

var quantsJobs = newFreeList[quantsJob]()

func (j *quantsJob) sumUnits() {
	j.sums = grow(j.sums, len(j.x)/quants.FactorUnit)
	for i := range j.sums {
		var sum float32
		for _, v := range j.x[i*quants.FactorUnit:][:quants.FactorUnit] {
			sum += v
		}
		j.sums[i] = sum
	}
}

// quantsRowRoom is scratch memory for a row as floats, or for its factors.
type quantsRowRoom struct{ row, scales, minima []float32 }

var quantsRowRooms = newFreeList[quantsRowRoom]()

// Run computes the columns start to end of y.
func (j *quantsJob) Run(start, end int) {
	room, w := quantsRowRooms.get(), j.w
	dots := j.k.quants[w.Kind]
	if dots.one == nil {
		room.row = grow(room.row, w.Cols)
		for r := start; r < end; r++ {
			QuantsRow(room.row, w, r)
			for v := range j.n {
				j.y[v*w.Rows+r] = j.k.dot(j.x[v*w.Cols:(v+1)*w.Cols], room.row)
			}
		}
		quantsRowRooms.put(room)
		return
	}
	units := w.Cols / quants.FactorUnit
	room.scales, room.minima = grow(room.scales, units), grow(room.minima, units)
	for r := start; r < end; r++ {
		w.Factors(room.scales, room.minima, r, 0)
		low, high := w.Planes(r)
		if w.Kind == quants.Q4_K { // the product takes 8 from each number
			j.k.axpy(-8, room.scales, room.minima)
		}
		for v := 0; v < j.n; {
			dot, vectors := dots.one, 1
			if v+4 <= j.n {
				dot, vectors = dots.four, 4
			}
			dot(&j.y[v*w.Rows+r], w.Rows, &low[0], &high[0], room.scales, &j.x[v*w.Cols], w.Cols)
			v += vectors
		}
		if w.Kind == quants.Q4_K {
			for v := range j.n {
				j.y[v*w.Rows+r] -= j.k.dot(j.sums[v*units:(v+1)*units], room.minima)
			}
		}
	}
	quantsRowRooms.put(room)
}
