package simd

import (
	"unsafe"

	"bitgpu/nn/cpu/parallel"
)

// batchKernels are the inner loops of Interleaved for some vectors at once; the bits of results are those of one by one.
// The byte with the codes of four columns selects one of 81 sums of whole numbers, which lies in memory, a number for each vector:
// one addition does the work of four multiply-adds for each of them. Only the tables of a few columns have room in a core's first
// cache, so rows go through these before they go on to the next ones.
type batchKernels struct {
	vectors int // at once
	fewest  int // vectors for which products at once are faster than one by one, or with the next kernels

	// whole sets dst to 16·sixteens elements times scale, as whole numbers.
	whole func(dst *int32, x *float32, scale float32, sixteens int)
	// tables writes the sums of each of `fours` four columns (4·fours, vectors).
	tables func(dst, whole *int32, fours int)
	// products sets totals (blocks, rows of a block, vectors) to those before, plus what the codes of batchColumns of some blocks,
	// codesStep bytes apart, select in tables. After each block `before` skips beforeStep bytes. room has batchRoomBytes.
	products func(totals, before *int32, beforeStep int, codes *byte, codesStep int, tables *int32, room *byte, blocks int)
	// end adds to y (rows of a block, vectors) the totals, times the scales of rows and the units of vectors. Their rows are in the
	// order in which products finds them; those of y are in their own.
	end func(y *float32, totals *int32, scales *byte, units *float32)
}

const (
	batchColumns   = 32                                    // for which there are tables at once
	batchMost      = 64                                    // vectors whose whole numbers are there at once
	batchRoomBytes = 2 * lookupRows * 2 * batchColumns / 4 // where the sums are that two blocks want, at most

	// Rows that share tables: with fewer, tables take too long to make, with more, totals leave a core's own cache.
	fewestBatchRows, mostBatchRows = 256, 2048
)

// batchJob is the product of up to batchMost vectors. Tasks are parts of rows for a group of vectors.
type batchJob struct {
	m            *Interleaved
	k            *kernels
	b            *batchKernels
	y, x         []float32
	n            int
	part, chunks int       // columns of a chunk, chunks of a row
	blocks       int       // of a task
	whole        []int32   // (groups of vectors, cols, vectors)
	units        []float32 // (groups of vectors, chunks, vectors): what a whole 1 stands for
}

var batchJobs = newFreeList[batchJob]()

// batchRoom is the scratch memory of a core.
type batchRoom struct {
	whole           []int32 // of a chunk, before they are turned around
	tables, nothing []int32
	places          []byte
	totals          []int32   // (rows, vectors), of a chunk
	sums            []float32 // (rows, vectors)
}

var batchRooms = newFreeList[batchRoom]()

// fit makes room for the results of a task, of which `block` belong to a block.
func (r *batchRoom) fit(results, block, vectors int) {
	if r.places == nil {
		r.places = alignedLines[byte](batchRoomBytes)
	}
	if tables := batchColumns / 4 * 81 * vectors; len(r.tables) < tables {
		r.tables = alignedLines[int32](tables)
	}
	if len(r.nothing) < block {
		r.nothing = alignedLines[int32](block)
	}
	if len(r.totals) < results {
		r.totals, r.sums = alignedLines[int32](results), alignedLines[float32](results)
	}
}

// alignedLines makes a slice that begins with a line of the cache: where half of all reads cross the border of two lines, products
// take a quarter longer.
func alignedLines[T any](n int) []T {
	const line = 64
	var element T
	size := int(unsafe.Sizeof(element))
	s := make([]T, n+line/size)
	skip := -uintptr(unsafe.Pointer(&s[0])) % line / uintptr(size)
	return s[skip:][:n]
}

// batched returns how many of n vectors are multiplied at once.
func (b *batchKernels) batched(n int) int {
	if rest := n % b.vectors; rest < b.fewest {
		return n - rest
	}
	return n
}

// matMulBatches sets the rows in blocks of y (n, rows) for as many vectors as are multiplied at once, and returns their number.
// Chunks have `part` columns.
func (m *Interleaved) matMulBatches(k *kernels, batches []*batchKernels, part int, y, x []float32, n int) (done int) {
	j := batchJobs.get()
	j.k, j.m, j.part, j.chunks = k, m, part, m.cols/part
	for _, b := range batches {
		groups := ceilDiv(min(batchMost, n-done), b.vectors)
		if part%batchColumns != 0 || groups*max(m.rows/fewestBatchRows, 1) < parallel.Workers() { // some would have nothing to do
			continue
		}
		j.b = b
		for end := done + b.batched(n-done); done < end; done += j.n {
			j.n = min(batchMost, end-done)
			j.x, j.y = x[done*m.cols:(done+j.n)*m.cols], y[done*m.rows:(done+j.n)*m.rows]
			j.matMul()
		}
	}
	j.m, j.x, j.y = nil, nil, nil
	batchJobs.put(j)
	return done
}

func (j *batchJob) matMul() {
	m, vectors := j.m, j.b.vectors
	groups := ceilDiv(j.n, vectors)
	j.whole = grow(j.whole, groups*m.cols*vectors)
	j.units = grow(j.units, groups*j.chunks*vectors)
	parallel.For(groups*j.chunks, chunkElements/(8*vectors*j.part)+1, (*batchWholePhase)(j))
	blocks := m.rows / m.blockRows()
	parts := ceilDiv(blocks, mostBatchRows/m.blockRows())
	for groups*parts%parallel.Workers() != 0 && ceilDiv(blocks, parts+1) >= fewestBatchRows/m.blockRows() {
		parts++
	}
	j.blocks = ceilDiv(blocks, parts)
	parallel.For(groups*ceilDiv(blocks, j.blocks), 1, j)
}

// batchWholePhase is the loop that turns the chunks of groups of vectors into whole numbers.
type batchWholePhase batchJob

func (p *batchWholePhase) Run(start, end int) {
	room, vectors := batchRooms.get(), p.b.vectors
	room.whole = grow(room.whole, vectors*p.part)
	for c := start; c < end; c++ {
		group, chunk := c/p.chunks, c%p.chunks
		units := p.units[c*vectors:][:vectors]
		clear(units)
		clear(room.whole)
		for i := range min(vectors, p.n-group*vectors) {
			x := p.x[(group*vectors+i)*p.m.cols+chunk*p.part:][:p.part]
			var scale float32
			scale, units[i] = p.m.wholeScale(p.k, x)
			p.b.whole(&room.whole[i*p.part], &x[0], scale, p.part/16)
		}
		turned := &p.whole[(group*p.m.cols+chunk*p.part)*vectors]
		p.k.gemm.transpose(asFloats(turned), vectors, asFloats(&room.whole[0]), p.part, vectors, p.part)
	}
	batchRooms.put(room)
}

// Run does the tasks start to end.
func (j *batchJob) Run(start, end int) {
	room := batchRooms.get()
	for task := start; task < end; task++ {
		blocks := j.m.rows / j.m.blockRows()
		parts := ceilDiv(blocks, j.blocks)
		first := task % parts * j.blocks
		j.rows(room, task/parts, first, min(first+j.blocks, blocks))
	}
	batchRooms.put(room)
}

// rows computes blocks of rows of the products with a group of vectors.
func (j *batchJob) rows(room *batchRoom, group, first, end int) {
	m, b := j.m, j.b
	rows := m.blockRows()
	blockCodes, block := rows*m.cols/4, rows*b.vectors
	room.fit((end-first)*block, block, b.vectors)
	clear(room.sums[:(end-first)*block])
	for chunk := range j.chunks {
		from, to := chunk*j.part, (chunk+1)*j.part
		for column := from; column < to; column += batchColumns {
			b.tables(&room.tables[0], &j.whole[(group*m.cols+column)*b.vectors], batchColumns/4)
			before, step := &room.totals[0], 0
			if column == from {
				before, step = &room.nothing[0], -block*4 // again and again
			}
			b.products(&room.totals[0], before, step, &m.codes[first*blockCodes+column/4*rows], blockCodes,
				&room.tables[0], &room.places[0], end-first)
		}
		units := &j.units[(group*j.chunks+chunk)*b.vectors]
		for i := first; i < end; i++ {
			at := (i - first) * block
			b.end(&room.sums[at], &room.totals[at], m.scalesAt(i, from), units)
		}
	}
	y, lanes := j.y[group*b.vectors*m.rows:], j.k.gemm.lanes
	for r := first * rows; r < end*rows; r += lanes {
		sums := &room.sums[(r-first*rows)*b.vectors]
		j.k.gemm.transpose(&y[r], m.rows, sums, b.vectors, lanes, min(b.vectors, j.n-group*b.vectors))
	}
}

// asFloats is for what only moves numbers.
func asFloats(p *int32) *float32 { return (*float32)(unsafe.Pointer(p)) }
