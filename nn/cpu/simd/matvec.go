package simd

import (
	"fmt"
	"unsafe"

	"bitgpu/nn/cpu/parallel"
)

// rowKernels are the products of a few vectors with the rows of a matrix of W. The
// first row's elements are w[0], w[1], …; rows and vectors have no gaps, except that
// packed rows end at a whole byte. Both kernels sum the product of one row with one
// vector in the same order.
type rowKernels[W any] struct {
	one  func(y []float32, w []W, x []float32, cols int)             // len(y) rows, one vector
	four func(y []float32, w []W, x []float32, rows, cols, step int) // four vectors; y[v·step+r]
}

// MatVec sets y = W·x for W (rows, cols).
func MatVec(y, w []float32, x []float32, rows, cols int) { MatMul(y, w, x, rows, cols, 1) }

// MatVecF16 sets y = W·x for W (rows, cols) in float16.
func MatVecF16(y []float32, w []uint16, x []float32, rows, cols int) {
	MatMulF16(y, w, x, rows, cols, 1)
}

// MatVecI8 sets y = diag(scale)·W·x for W (rows, cols) in int8, scale (rows).
func MatVecI8(y []float32, w []int8, scale, x []float32, rows, cols int) {
	MatMulI8(y, w, scale, x, rows, cols, 1)
}

// TernaryMatVec sets y = Q·x for packed ternary Q (rows, cols), two bits a weight
// with code Q+1, lowest bits first, each row beginning at a byte. With x integer,
// and sums below 2²⁴, y is exact.
func TernaryMatVec(y []float32, codes []byte, x []float32, rows, cols int) {
	TernaryMatMul(y, codes, x, rows, cols, 1)
}

// MatMul sets y (n, rows) = x (n, cols) · Wᵀ for few rows of x: W is read once for
// four of them. Row i of y is what MatVec gives for row i of x. For many rows use
// Gemm.
func MatMul(y, w, x []float32, rows, cols, n int) {
	checkMatMul("MatMul", len(y), len(w), len(x), rows, cols, cols, n)
	k := active.Load()
	run(&floatJobs, k, &k.float, y, w, nil, x, rows, cols, cols, n)
}

// MatMulF16 is MatMul for W in float16.
func MatMulF16(y []float32, w []uint16, x []float32, rows, cols, n int) {
	checkMatMul("MatMulF16", len(y), len(w), len(x), rows, cols, cols, n)
	k := active.Load()
	run(&halfJobs, k, &k.half, y, w, nil, x, rows, cols, cols, n)
}

// MatMulBF16 is MatMul for W in bfloat16.
func MatMulBF16(y []float32, w []uint16, x []float32, rows, cols, n int) {
	checkMatMul("MatMulBF16", len(y), len(w), len(x), rows, cols, cols, n)
	k := active.Load()
	run(&halfJobs, k, &k.bfloat, y, w, nil, x, rows, cols, cols, n)
}

// MatMulI8 is MatMul for W in int8 with a scale for each row.
func MatMulI8(y []float32, w []int8, scale, x []float32, rows, cols, n int) {
	checkMatMul("MatMulI8", len(y), len(w), len(x), rows, cols, cols, n)
	checkSame("MatMulI8", len(scale), rows)
	k := active.Load()
	run(&int8Jobs, k, &k.int8, y, w, scale, x, rows, cols, cols, n)
}

// TernaryMatMul is MatMul for packed ternary W; see TernaryMatVec.
func TernaryMatMul(y []float32, codes []byte, x []float32, rows, cols, n int) {
	stride := ternaryStride(cols)
	checkMatMul("TernaryMatMul", len(y), len(codes), len(x), rows, cols, stride, n)
	k := active.Load()
	run(&ternaryJobs, k, &k.ternary, y, codes, nil, x, rows, cols, stride, n)
}

func checkMatMul(op string, y, w, x, rows, cols, stride, n int) {
	if rows < 0 || cols < 0 || n < 0 || y != n*rows || w != rows*stride || x != n*cols {
		panic(fmt.Sprintf("simd: %s: y %d, w %d, x %d elements for rows %d, cols %d, n %d (want %d, %d, %d)",
			op, y, w, x, rows, cols, n, n*rows, rows*stride, n*cols))
	}
}

var (
	floatJobs   = newFreeList[rowJob[float32]]()
	halfJobs    = newFreeList[rowJob[uint16]]()
	int8Jobs    = newFreeList[rowJob[int8]]()
	ternaryJobs = newFreeList[rowJob[byte]]()
)

// rowJob is one product, divided by rows of W.
type rowJob[W any] struct {
	k                     *kernels
	kern                  *rowKernels[W]
	y                     []float32
	w                     []W
	scale                 []float32 // nil: 1
	x                     []float32
	rows, cols, stride, n int
}

// rowsAtOnce is the number of rows that the kernels of one vector handle together.
const rowsAtOnce = 4

// chunkElements is the number of multiply-adds below which handing work to another
// core costs more than it saves.
const chunkElements = 1 << 15

func run[W any](jobs *freeList[rowJob[W]], k *kernels, kern *rowKernels[W], y []float32, w []W, scale, x []float32, rows, cols, stride, n int) {
	if rows == 0 || n == 0 {
		return
	}
	if cols == 0 {
		clear(y)
		return
	}
	j := jobs.get()
	*j = rowJob[W]{k, kern, y, w, scale, x, rows, cols, stride, n}
	parallel.For(rows, rowGrain(chunkElements, cols*n), j)
	*j = rowJob[W]{}
	jobs.put(j)
}

// rowGrain returns how many rows, of a given number of multiply-adds each, make a chunk.
func rowGrain(chunk, row int) int { return (chunk/row + rowsAtOnce) / rowsAtOnce * rowsAtOnce }

// blockBytes is how much of W is read by all vectors before going on, while it is in a core's own cache.
const blockBytes = 1 << 17

// Run computes rows start to end of the result.
func (j *rowJob[W]) Run(start, end int) {
	rows := end - start
	if j.n > 4 {
		var w W
		rows = max(blockBytes/(j.stride*int(unsafe.Sizeof(w)))/rowsAtOnce, 1) * rowsAtOnce
	}
	for ; start < end; start += rows {
		j.block(start, min(start+rows, end))
	}
}

func (j *rowJob[W]) block(start, end int) {
	w := j.w[start*j.stride : end*j.stride]
	v := 0
	for ; v+4 <= j.n; v += 4 {
		j.kern.four(j.y[v*j.rows+start:], w, j.x[v*j.cols:(v+4)*j.cols], end-start, j.cols, j.rows)
	}
	for ; v < j.n; v++ {
		j.kern.one(j.y[v*j.rows+start:v*j.rows+end], w, j.x[v*j.cols:(v+1)*j.cols], j.cols)
	}
	if j.scale == nil {
		return
	}
	for v := range j.n {
		y := j.y[v*j.rows+start : v*j.rows+end]
		j.k.mul(y, y, j.scale[start:end])
	}
}
