package simd

import (
	"unsafe"

	"bitgpu/nn/cpu/parallel"
)

// batchKernels are the inner loops of Interleaved for batchVectors vectors at once; the bits of results are those of lookupKernels.
// The byte with the codes of four columns selects one of 81 sums of whole numbers, which lies in memory, a number for each vector:
// one addition does the work of 32 multiply-adds. Only the tables of batchColumns have room in a core's first cache, so rows go
// through these before they go on to the next ones.
type batchKernels struct {
	// whole sets dst to 8·eights elements times scale, as whole numbers.
	whole func(dst *int32, x *float32, scale float32, eights int)
	// tables writes the sums of each of `fours` four columns (4·fours, batchVectors).
	tables func(dst, whole *int32, fours int)
	// products sets totals (blocks, lookupRows, batchVectors) to those before, plus what the codes of batchColumns of some blocks,
	// codesStep bytes apart, select in tables. After each block `before` skips beforeStep bytes. room has batchRoomBytes.
	products func(totals, before *int32, beforeStep int, codes *byte, codesStep int, tables *int32, room *byte, blocks int)
	// end adds to y (lookupRows, batchVectors) the totals, times the scales of rows and the units of vectors. Their rows are in the
	// order in which products finds them; those of y are in their own.
	end func(y *float32, totals *int32, scales *byte, units *float32)
}

const (
	batchVectors   = 8
	batchColumns   = groupUnit
	batchBlock     = lookupRows * batchVectors            // numbers
	batchTables    = batchColumns / 4 * 81 * batchVectors // numbers
	batchRoomBytes = 2 * lookupRows * batchColumns / 4    // which sums two blocks want
	batchGroups    = 8                                    // of batchVectors vectors, whose whole numbers are there at once
	batchFewest    = 5                                    // vectors for which products at once are faster than one by one

	// Blocks of rows that share tables: with fewer, tables take too long to make, with more, totals leave a core's own cache.
	fewestBatchBlocks, mostBatchBlocks = 8, 64
)

// batchJob is the product of up to batchGroups·batchVectors vectors. Tasks are parts of rows for a group of vectors.
type batchJob struct {
	m            *Interleaved
	k            *kernels
	y, x         []float32
	n            int
	part, chunks int       // columns of a chunk, chunks of a row
	blocks       int       // of lookupRows, of a task
	whole        []int32   // (groups of vectors, cols, batchVectors)
	units        []float32 // (groups of vectors, chunks, batchVectors): what a whole 1 stands for
}

var batchJobs = newFreeList[batchJob]()

// batchRoom is the scratch memory of a core.
type batchRoom struct {
	whole           []int32 // of a chunk, before they are turned around
	tables, nothing []int32
	numbers         []byte
	totals          []int32   // (rows, batchVectors), of a chunk
	sums            []float32 // (rows, batchVectors)
}

var batchRooms = newFreeList[batchRoom]()

// fit makes room for blocks of rows.
func (r *batchRoom) fit(blocks int) {
	if r.tables == nil {
		r.tables, r.nothing, r.numbers = alignedLines[int32](batchTables), alignedLines[int32](batchBlock), alignedLines[byte](batchRoomBytes)
	}
	if len(r.totals) < blocks*batchBlock {
		r.totals, r.sums = alignedLines[int32](blocks*batchBlock), alignedLines[float32](blocks*batchBlock)
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
func batched(n int) int {
	if rest := n % batchVectors; rest < batchFewest {
		return n - rest
	}
	return n
}

// matMul sets the rows in blocks of y (n, m.rows).
func (j *batchJob) matMul(k *kernels, m *Interleaved, y, x []float32, n int) {
	j.k, j.m = k, m
	j.part, j.chunks = m.chunks()
	const most = batchGroups * batchVectors
	for v := 0; v < n; v += most {
		j.n = min(most, n-v)
		j.x, j.y = x[v*m.cols:(v+j.n)*m.cols], y[v*m.rows:(v+j.n)*m.rows]
		groups := ceilDiv(j.n, batchVectors)
		j.whole = grow(j.whole, groups*m.cols*batchVectors)
		j.units = grow(j.units, groups*j.chunks*batchVectors)
		parallel.For(groups*j.chunks, chunkElements/(8*batchVectors*j.part)+1, (*batchWholePhase)(j))
		blocks := m.rows / lookupRows
		parts := ceilDiv(blocks, mostBatchBlocks)
		for groups*parts%parallel.Workers() != 0 && ceilDiv(blocks, parts+1) >= fewestBatchBlocks {
			parts++
		}
		j.blocks = ceilDiv(blocks, parts)
		parallel.For(groups*ceilDiv(blocks, j.blocks), 1, j)
	}
	j.m, j.x, j.y = nil, nil, nil
}

// batchWholePhase is the loop that turns the chunks of groups of vectors into whole numbers.
type batchWholePhase batchJob

func (p *batchWholePhase) Run(start, end int) {
	room := batchRooms.get()
	room.whole = grow(room.whole, batchVectors*p.part)
	for c := start; c < end; c++ {
		group, chunk := c/p.chunks, c%p.chunks
		units := p.units[c*batchVectors:][:batchVectors]
		clear(units)
		clear(room.whole)
		for i := range min(batchVectors, p.n-group*batchVectors) {
			x := p.x[(group*batchVectors+i)*p.m.cols+chunk*p.part:][:p.part]
			var scale float32
			scale, units[i] = wholeScale(p.k, x)
			p.k.lookup.batch.whole(&room.whole[i*p.part], &x[0], scale, p.part/8)
		}
		turned := &p.whole[(group*p.m.cols+chunk*p.part)*batchVectors]
		p.k.gemm.transpose(asFloats(turned), batchVectors, asFloats(&room.whole[0]), p.part, batchVectors, p.part)
	}
	batchRooms.put(room)
}

// Run does the tasks start to end.
func (j *batchJob) Run(start, end int) {
	room := batchRooms.get()
	for task := start; task < end; task++ {
		blocks := j.m.rows / lookupRows
		parts := ceilDiv(blocks, j.blocks)
		first := task % parts * j.blocks
		j.rows(room, task/parts, first, min(first+j.blocks, blocks))
	}
	batchRooms.put(room)
}

// rows computes blocks of rows of the products with a group of vectors.
func (j *batchJob) rows(room *batchRoom, group, first, end int) {
	m, kern := j.m, j.k.lookup.batch
	blockCodes, blockScales := lookupRows*m.cols/4, scaleBytes*m.cols/m.group
	room.fit(end - first)
	clear(room.sums[:(end-first)*batchBlock])
	for chunk := range j.chunks {
		from, to := chunk*j.part, (chunk+1)*j.part
		for column := from; column < to; column += batchColumns {
			kern.tables(&room.tables[0], &j.whole[(group*m.cols+column)*batchVectors], batchColumns/4)
			before, step := &room.totals[0], 0
			if column == from {
				before, step = &room.nothing[0], -batchBlock*4 // again and again
			}
			kern.products(&room.totals[0], before, step, &m.codes[first*blockCodes+column/4*lookupRows], blockCodes,
				&room.tables[0], &room.numbers[0], end-first)
		}
		units := &j.units[(group*j.chunks+chunk)*batchVectors]
		for b := first; b < end; b++ {
			at := (b - first) * batchBlock
			kern.end(&room.sums[at], &room.totals[at], &m.scales[b*blockScales+from/m.group*scaleBytes], units)
		}
	}
	y := j.y[group*batchVectors*m.rows:]
	for r := first * lookupRows; r < end*lookupRows; r += batchVectors {
		sums := &room.sums[(r-first*lookupRows)*batchVectors]
		j.k.gemm.transpose(&y[r], m.rows, sums, batchVectors, batchVectors, min(batchVectors, j.n-group*batchVectors))
	}
}

// asFloats is for what only moves numbers.
func asFloats(p *int32) *float32 { return (*float32)(unsafe.Pointer(p)) }
