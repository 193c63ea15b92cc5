package simd

import (
	"fmt"

	"bitgpu/nn/cpu/hugepages"
	"bitgpu/nn/cpu/parallel"
)

// gemmKernels compute C in tiles of a few rows by width columns whose sums stay in
// registers. See "Anatomy of High-Performance Matrix Multiplication" (Goto, van de
// Geijn, 2008) for the blocking.
type gemmKernels struct {
	width   int   // columns of a tile
	heights []int // rows of the tiles there are, largest first, 1 last
	tiles   []tileFunc

	// transpose sets dst[c·dstStep+r] = src[r·srcStep+c] for r < rows ≤ lanes.
	transpose func(dst *float32, dstStep int, src *float32, srcStep, rows, cols int)
	// gather sets dst[c·dstStep+r] = src[c·srcStep+r] for r < rows ≤ lanes.
	gather func(dst *float32, dstStep int, src *float32, srcStep, rows, cols int)
	lanes  int

	// decode is kernels.ternaryDecode. decodeBlocks, nil where there is none, does it for
	// codeBlock weights of each of some rows, whose codes are codesStep bytes apart.
	decode       func(dst []float32, codes []byte, scale float32)
	decodeBlocks func(dst *float32, dstStep int, codes *byte, codesStep, rows int)
}

// tileFunc sets C = alpha·A·B + beta·C for one tile: A's element (i, p) is
// a[i·aRow+p·aStep], row p of B begins at b[p·bStep], row i of C at c[i·cRow], and
// cols ≤ width columns are written. With beta 0, C is not read. All width columns
// of B may be read.
type tileFunc func(k int, a *float32, aRow, aStep int, b *float32, bStep int, c *float32, cRow, cols int, alpha, beta float32)

// Blocks of the operands are copied into panels that the tiles read in order: first B, for all cores; then each core
// copies the rows of A that it is about to use, which stay in its second cache level.
const (
	blockK    = 256  // steps of a panel: a tile's part of B fits into the first cache level
	blockCols = 4096 // of B packed at once
	itemRows  = 8    // tiles of one work item, down
	maxHeight = 14   // rows of a tile
	fewCols   = 64   // of an item: copying pays when what is copied is used often
)

// Gemm sets C = alpha·op(A)·op(B) + beta·C for C (m, n), op(A) (m, k), op(B) (k, n).
// op(A) is A, (m, k) with rows lda apart, or with transA the transpose of A (k, m);
// likewise B. With beta 0, C need not be set before. C must not overlap A or B. An
// element of C depends on its row of op(A) and its column of op(B) alone, to the last
// bit: a batch cut in two gives the same rows.
func Gemm(m, n, k int, alpha float32, a []float32, lda int, transA bool, b []float32, ldb int, transB bool, beta float32, c []float32, ldc int) {
	checkOperand("A", m, k, len(a), lda, transA)
	checkOperand("B", k, n, len(b), ldb, transB)
	checkOperand("C", m, n, len(c), ldc, false)
	multiply(operands{
		m: m, n: n, k: k,
		alpha: alpha, a: a, lda: lda, transA: transA, b: b, ldb: ldb, transB: transB,
		c: c, ldc: ldc,
	}, beta)
}

func multiply(o operands, beta float32) {
	if o.m == 0 || o.n == 0 {
		return
	}
	if o.k == 0 || o.alpha == 0 {
		scaleRows(o.m, o.n, beta, o.c, o.ldc)
		return
	}
	j := gemmJobs.get()
	j.operands = o
	j.kern = &active.Load().gemm
	j.run(beta)
	j.operands = operands{}
	gemmJobs.put(j)
}

func checkOperand(name string, rows, cols, length, stride int, trans bool) {
	if trans {
		rows, cols = cols, rows
	}
	if rows < 0 || cols < 0 || stride < cols || (rows > 0 && cols > 0 && length < (rows-1)*stride+cols) {
		panic(fmt.Sprintf("simd: Gemm: %s has %d elements, rows %d apart, for (%d, %d)", name, length, stride, rows, cols))
	}
}

func scaleRows(m, n int, beta float32, c []float32, ldc int) {
	kern := active.Load()
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
		} else {
			kern.scale(beta, row)
		}
	}
}

// gemmJob is one product under way. Its buffer stays for the next one.
type gemmJob struct {
	operands
	packedB []float32
}

type operands struct {
	kern           *gemmKernels
	m, n, k        int
	alpha, beta    float32
	a, b, c        []float32
	codes          []byte   // B where it is ternary
	scales         []uint16 // of B's groups of weights; nil: 1
	group          int
	lda, ldb, ldc  int
	transA, transB bool
	directB        bool // read where it lies

	// The block being worked on: columns col to col+cols of C and so on.
	col, cols, step, steps int
	itemRows, itemCols     int // tiles of one work item
}

var gemmJobs = newFreeList[gemmJob]()

func (j *gemmJob) run(beta float32) {
	j.directB = j.codes == nil && !j.transB && j.n%j.kern.width == 0 && j.m <= 8*j.kern.heights[0]
	// Equal steps rather than a short last one. Their number depends on k alone, and
	// with it the order of every sum.
	parts := (j.k + blockK - 1) / blockK
	whole := (j.k + parts - 1) / parts
	for j.col = 0; j.col < j.n; j.col += blockCols {
		j.cols = min(blockCols, j.n-j.col)
		j.beta = beta
		for j.step = 0; j.step < j.k; j.step += whole {
			j.steps = min(whole, j.k-j.step)
			if !j.directB {
				panels := ceilDiv(j.cols, j.kern.width)
				j.packedB = grow(j.packedB, panels*j.kern.width*j.steps)
				j.parallelFor(panels, (*packPhase)(j))
			}
			j.multiply()
			j.beta = 1
		}
	}
}

// smallProduct is the number of multiply-adds that one core does as fast as all.
const smallProduct = 1 << 18

func (j *gemmJob) parallelFor(n int, t parallel.Task) {
	if j.m*j.n*j.k <= smallProduct {
		t.Run(0, n)
		return
	}
	parallel.For(n, 1, t)
}

// packPhase copies panels of B.
type packPhase gemmJob

func (p *packPhase) Run(start, end int) {
	width := p.kern.width
	for panel := start; panel < end; panel++ {
		first := panel * width
		dst, count := p.packedB[first*p.steps:], min(width, p.cols-first)
		if p.codes != nil {
			p.packCodes(dst, p.col+first, count)
		} else {
			p.kern.panel(dst, width, count, p.b, p.ldb, p.col+first, p.step, p.steps, !p.transB)
		}
	}
}

// panel copies count lines of a matrix, from line first and some steps from step on; element (i, s) goes to
// dst[s·width+i]. With across, a line is a column of src.
func (g *gemmKernels) panel(dst []float32, width, count int, src []float32, stride, first, step, steps int, across bool) {
	for i := 0; i < count; i += g.lanes {
		lines := min(g.lanes, count-i)
		if across {
			g.gather(&dst[i], width, &src[step*stride+first+i], stride, lines, steps)
		} else {
			g.transpose(&dst[i], width, &src[(first+i)*stride+step], stride, lines, steps)
		}
	}
}

// tilePhase multiplies work items, rectangles of itemRows by itemCols tiles.
type tilePhase gemmJob

func (j *gemmJob) multiply() {
	rows, cols := ceilDiv(j.m, j.kern.heights[0]), ceilDiv(j.cols, j.kern.width)
	j.itemRows, j.itemCols = min(itemRows, rows), cols
	// Small products are cut finer, that all cores have something to do.
	wanted := 4 * parallel.Workers()
	for ceilDiv(rows, j.itemRows)*ceilDiv(cols, j.itemCols) < wanted && j.itemRows*j.itemCols > 1 {
		if j.itemRows > j.itemCols {
			j.itemRows = (j.itemRows + 1) / 2
		} else {
			j.itemCols = (j.itemCols + 1) / 2
		}
	}
	j.parallelFor(ceilDiv(rows, j.itemRows)*ceilDiv(cols, j.itemCols), (*tilePhase)(j))
}

// packedRows is room for the rows of A of one work item.
type packedRows [itemRows * maxHeight * blockK]float32

var packedRooms = newFreeList[packedRows]()

func (t *tilePhase) Run(start, end int) {
	down, across := t.itemRows*t.kern.heights[0], t.itemCols*t.kern.width
	itemsAcross := ceilDiv(t.cols, across)
	room, packed := packedRooms.get(), -1
	for i := start; i < end; i++ {
		row, col := i/itemsAcross*down, i%itemsAcross*across
		lastRow, lastCol := min(row+down, t.m), min(col+across, t.cols)
		if lastCol-col <= fewCols {
			t.item(nil, row, lastRow, col, lastCol)
			continue
		}
		if packed != row {
			t.packA(room[:], row, lastRow)
			packed = row
		}
		t.item(room[:], row, lastRow, col, lastCol)
	}
	packedRooms.put(room)
}

// gatherSteps are the steps of all tiles of an item that are read before the next ones: few rows of a wide matrix,
// which the cache holds until their last column is read.
const gatherSteps = 16

// packA copies the rows row to lastRow of A, tile by tile: element (i, s) of a tile goes to [s·height+i].
func (t *tilePhase) packA(dst []float32, row, lastRow int) {
	each := t.steps
	if t.transA {
		each = gatherSteps
	}
	for step := 0; step < t.steps; step += each {
		for r := row; r < lastRow; {
			h := t.kern.heights[t.kern.tile(lastRow-r)]
			t.kern.panel(dst[(r-row)*t.steps+step*h:], h, h, t.a, t.lda, r, t.step+step, min(each, t.steps-step), t.transA)
			r += h
		}
	}
}

// item computes the rectangle of the block from row to lastRow and col to lastCol. packedA holds those rows of A; nil: they are
// read from A itself.
func (t *tilePhase) item(packedA []float32, row, lastRow, col, lastCol int) {
	width := t.kern.width
	for c := col; c < lastCol; c += width {
		b, bStep := (*float32)(nil), 0
		if t.directB {
			b, bStep = &t.b[t.step*t.ldb+t.col+c], t.ldb
		} else {
			b, bStep = &t.packedB[c*t.steps], width
		}
		for r := row; r < lastRow; {
			tile := t.kern.tile(lastRow - r)
			h := t.kern.heights[tile]
			a, aRow, aStep := (*float32)(nil), 0, 0
			switch {
			case packedA != nil:
				a, aRow, aStep = &packedA[(r-row)*t.steps], 1, h
			case t.transA:
				a, aRow, aStep = &t.a[t.step*t.lda+r], 1, t.lda
			default:
				a, aRow, aStep = &t.a[r*t.lda+t.step], t.lda, 1
			}
			t.kern.tiles[tile](t.steps, a, aRow, aStep, b, bStep,
				&t.c[r*t.ldc+t.col+c], t.ldc, min(width, lastCol-c), t.alpha, t.beta)
			r += h
		}
	}
}

// tile returns the index of the highest tile that fits into a number of rows.
func (g *gemmKernels) tile(rows int) int {
	for i, h := range g.heights {
		if h <= rows {
			return i
		}
	}
	panic("simd: no tile of one row")
}

func grow[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return hugepages.Make[T](n)
	}
	return buf[:n]
}

func ceilDiv(n, d int) int { return (n + d - 1) / d }
