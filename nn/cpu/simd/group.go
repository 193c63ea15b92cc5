package simd

import (
	"fmt"

	"bitgpu/nn/cpu/parallel"
)

// groupUnit divides the length of every group of weights with one scale.
const groupUnit = 32

// groupKernels are products of packed ternary rows in which each group of weights has a scale. The
// scales of a row follow those of the row before. Both kernels sum the product of one row with one
// vector in the same order.
type groupKernels struct {
	one  func(y []float32, codes []byte, scales, x []float32, groups, group int)             // len(y) rows, one vector
	four func(y []float32, codes []byte, scales, x []float32, rows, groups, group, step int) // four vectors; y[v·step+r]
}

// TernaryGroupMatMul sets y (n, rows) = x (n, cols) · Wᵀ for few rows of x, as TernaryMatMul does,
// with a scale for each group of weights: W[r][c] = scales[r][c/group]·Q[r][c] for packed Q (rows,
// cols) and scales (rows, cols/group) in float16. group is a multiple of 32, cols of group. Each
// group is summed in float32 before its scale multiplies it.
func TernaryGroupMatMul(y []float32, codes []byte, scales []uint16, group int, x []float32, rows, cols, n int) {
	checkMatMul("TernaryGroupMatMul", len(y), len(codes), len(x), rows, cols, ternaryStride(cols), n)
	checkGroups("TernaryGroupMatMul", len(scales), group, rows, cols)
	if rows == 0 || n == 0 {
		return
	}
	if cols == 0 {
		clear(y)
		return
	}
	j := groupJobs.get()
	*j = groupJob{active.Load(), y, codes, scales, group, x, rows, cols, n}
	parallel.For(rows, rowGrain(chunkElements, cols*n), j)
	*j = groupJob{}
	groupJobs.put(j)
}

func checkGroups(op string, scales, group, rows, cols int) {
	if group <= 0 || group%groupUnit != 0 || cols%group != 0 {
		panic(fmt.Sprintf("simd: %s: groups of %d for cols %d (want a multiple of %d that divides cols)", op, group, cols, groupUnit))
	}
	if scales != rows*(cols/group) {
		panic(fmt.Sprintf("simd: %s: %d scales for rows %d, cols %d, groups of %d (want %d)", op, scales, rows, cols, group, rows*(cols/group)))
	}
}

// groupJob is one product, divided by rows of W.
type groupJob struct {
	k             *kernels
	y             []float32
	codes         []byte
	scales        []uint16
	group         int
	x             []float32
	rows, cols, n int
}

var groupJobs = newFreeList[groupJob]()

// Run computes rows start to end of the result.
func (j *groupJob) Run(start, end int) {
	groups := j.cols / j.group
	room := scaleRooms.get()
	for start < end {
		stop := min(end, start+rowsOfBlock(ternaryStride(j.cols), groups))
		scales := room.widened(j.k, j.scales[start*groups:stop*groups], 1)
		codes := j.codes[start*ternaryStride(j.cols) : stop*ternaryStride(j.cols)]
		v := 0
		for ; v+4 <= j.n; v += 4 {
			j.k.group.four(j.y[v*j.rows+start:], codes, scales, j.x[v*j.cols:(v+4)*j.cols], stop-start, groups, j.group, j.rows)
		}
		for ; v < j.n; v++ {
			j.k.group.one(j.y[v*j.rows+start:v*j.rows+stop], codes, scales, j.x[v*j.cols:(v+1)*j.cols], groups, j.group)
		}
		start = stop
	}
	scaleRooms.put(room)
}

// scaleRoom is scratch memory for the scales of a block of rows as float32.
type scaleRoom struct{ scales []float32 }

var scaleRooms = newFreeList[scaleRoom]()

// blockScales is how many scales of a block lie in a core's own cache beside the codes.
const blockScales = 1 << 14

// rowsOfBlock returns how many rows, given their bytes of codes and their scales, all vectors read
// before they go on.
func rowsOfBlock(stride, scales int) int {
	return max(min(blockBytes/stride, blockScales/scales)/rowsAtOnce, 1) * rowsAtOnce
}

// widened returns scales as float32, each repeated `times` times.
func (r *scaleRoom) widened(k *kernels, scales []uint16, times int) []float32 {
	r.scales = grow(r.scales, len(scales)*times)
	k.widen(r.scales[:len(scales)], scales)
	if times > 1 {
		for i := len(scales) - 1; i >= 0; i-- {
			s := r.scales[i]
			for t := range times {
				r.scales[i*times+t] = s
			}
		}
	}
	return r.scales
}
