package simd

import "bitgpu/nn/cpu/parallel"

// Products with an Interleaved matrix use lookups instead of multiplications: the codes of two weights are four bits, which select
// one of the 16 possible sums of two elements of a vector, and one instruction does so for 32 rows at once. The elements are
// rounded to whole numbers: to 23 bits of the largest of their chunk, including the sign, as float32 rounds that one. Their sums
// are exact until the sum of a chunk is multiplied by the scale of its group.
//
// On Zen 3 a lookup for 32 rows takes half the time of 64 multiply-adds with the conversion of their codes to floats;
// BenchmarkPublic has the ratios. The idea is that of T-MAC (arXiv 2407.00088), with tables as exact as float32.

// lookupKernels are the inner loops of Interleaved.
type lookupKernels struct {
	// interleave turns 16·blocks columns of 32 rows, stride bytes apart, into lines of 32 bytes in the order of lookupPlace.
	interleave func(dst, src *byte, stride, blocks int)
	// split turns each of an even number of lines into two, of the lower and of the upper nibbles, and puts those of blocks of 32
	// rows, which lie stride bytes apart, side by side.
	split func(dst, src *byte, columns, blocks, stride int)
	// tables writes the lookupBytes possible sums of each pair of 8·eights elements, times scale.
	tables func(dst *byte, x *float32, scale float32, eights int)
	// vector adds to 32 elements of y, for each chunk, the sums that the nibbles of 2·fours lines of codes select in tables, times
	// units and the scales of the rows.
	vector func(y *float32, codes, tables, scales *byte, units *float32, chunks, fours int)
	// one adds to 32 elements of y, and four to 128, the sums that 4·fours of their nibbles select in tables, times unit and the
	// scales of the rows; the scales of the next 32 rows lie scaleStep bytes further on. room has lookupSums bytes.
	one, four func(y *float32, nibbles, tables, scales *byte, scaleStep int, unit float32, fours int, room *byte)
	batches   []*batchKernels // for several vectors at once, most first; none where there is nothing faster than one by one
}

const (
	lookupRows   = 32
	lookupBlocks = 4                                 // of lookupRows, that four takes
	lookupBytes  = 64                                // of two columns: 16 sums, each of them in four parts of 6 bits
	longestPart  = 128                               // columns of a chunk, whose sums of parts have room in 16 bits
	lookupSums   = lookupBlocks * lookupRows * 4 * 2 // bytes of the sums of four parts
	scaleBytes   = 2 * lookupRows                    // of a group's scales: a line of lower bytes, one of upper ones

	lookupBits      = 22      // an element is below 2²² in size
	lookupTableRoom = 1 << 18 // bytes of tables that are read again for each 128 rows: about half of a core's own cache
	lookupVectors   = 32      // whose tables are there at once
)

// lookupPlace returns where the byte of a row is in a line. With this order, the sums of even places and of odd ones become floats
// in the order of the rows.
func lookupPlace(row int) int { return row/4%2*16 + row/8%2*8 + row%4*2 + row/16 }

// interleave transposes 32 rows of `width` bytes. If width is no multiple of 16, the last block overlaps the one before.
func interleave(k *kernels, dst, src []byte, width int) {
	if width < 16 {
		for r := range lookupRows {
			for c, b := range src[r*width:][:width] {
				dst[c*lookupRows+lookupPlace(r)] = b
			}
		}
		return
	}
	k.lookup.interleave(&dst[0], &src[0], width, width/16)
	if rest := width - 16; width%16 > 0 {
		k.lookup.interleave(&dst[rest*lookupRows], &src[rest], width, 1)
	}
}

// lookupJob is one product, divided into 32 rows of m. Its buffers are kept for the next one.
type lookupJob struct {
	m            *Interleaved
	k            *kernels
	y, x         []float32
	n            int
	part, chunks int       // columns of a chunk, chunks of a row
	tables       []byte    // n vectors of cols/2·lookupBytes
	units        []float32 // n vectors of what a whole 1 of each chunk stands for
}

var lookupJobs = newFreeList[lookupJob]()

// lookupRoom is the scratch memory of a core.
type lookupRoom struct {
	nibbles []byte // of a chunk
	sums    [lookupSums]byte
}

var lookupRooms = newFreeList[lookupRoom]()

// lookUp sets the rows in blocks of y (n, rows).
func (m *Interleaved) lookUp(k *kernels, y, x []float32, n int) {
	part, _ := m.chunks(groupUnit, longestPart)
	done := m.matMulBatches(k, k.lookup.batches, part, y, x, n)
	j := lookupJobs.get()
	j.matMul(k, m, y[done*m.rows:], x[done*m.cols:], n-done)
	lookupJobs.put(j)
}

func (j *lookupJob) matMul(k *kernels, m *Interleaved, y, x []float32, n int) {
	j.k, j.m = k, m
	j.part, j.chunks = m.chunks(groupUnit, longestPart)
	for v := 0; v < n; v += lookupVectors {
		j.n = min(lookupVectors, n-v)
		j.x, j.y = x[v*m.cols:(v+j.n)*m.cols], y[v*m.rows:(v+j.n)*m.rows]
		j.tables = grow(j.tables, j.n*j.tablesLen())
		j.units = grow(j.units, j.n*j.chunks)
		parallel.For(j.n*j.chunks, chunkElements/(8*j.part)+1, (*tablePhase)(j))
		parallel.For(m.rows/lookupRows, ceilDiv(chunkElements, lookupBlocks*lookupRows*m.cols)*lookupBlocks, j)
	}
	j.m, j.x, j.y = nil, nil, nil
}

// tablesLen returns the size in bytes of a vector's tables.
func (j *lookupJob) tablesLen() int { return j.m.cols / 2 * lookupBytes }

// tablePhase makes the tables of chunks.
type tablePhase lookupJob

func (p *tablePhase) Run(start, end int) {
	for c := start; c < end; c++ {
		x := p.x[c*p.part : (c+1)*p.part]
		scale, unit := p.m.wholeScale(p.k, x)
		p.units[c] = unit
		p.k.lookup.tables(&p.tables[c*p.part/2*lookupBytes], &x[0], scale, p.part/8)
	}
}

// Run computes the rows 32·start to 32·end of the result.
func (j *lookupJob) Run(start, end int) {
	m, room := j.m, lookupRooms.get()
	for v := range j.n {
		clear(j.y[v*m.rows+start*lookupRows : v*m.rows+end*lookupRows])
	}
	room.nibbles = grow(room.nibbles, 2*j.part/4*lookupBlocks*lookupRows)
	slab := max(lookupTableRoom/(j.n*lookupBytes/2)/m.group, 1) * m.group // columns
	for from := 0; from < m.cols; from += slab {
		for block := start; block < end; {
			blocks := 1
			if block+lookupBlocks <= end {
				blocks = lookupBlocks
			}
			j.add(room, block, blocks, from, min(from+slab, m.cols))
			block += blocks
		}
	}
	lookupRooms.put(room)
}

// add adds the products of some columns of 32 rows, or of lookupBlocks times as many rows.
func (j *lookupJob) add(room *lookupRoom, block, blocks, from, to int) {
	m := j.m
	row, step, scaleStep := block*lookupRows, lookupRows*m.cols/4, scaleBytes*m.cols/m.group
	kern := j.k.lookup.one
	if blocks > 1 {
		kern = j.k.lookup.four
	}
	if j.n == 1 {
		j.addOne(block, blocks, from, to)
		return
	}
	for column := from; column < to; column += j.part {
		j.k.lookup.split(&room.nibbles[0], &m.codes[block*step+column/4*lookupRows], j.part/4, blocks, step)
		scales := &m.scales[block*scaleStep+column/m.group*scaleBytes]
		for v := range j.n {
			kern(&j.y[v*m.rows+row], &room.nibbles[0], &j.tables[v*j.tablesLen()+column/2*lookupBytes], scales, scaleStep,
				j.units[v*j.chunks+column/j.part], j.part/8, &room.sums[0])
		}
	}
}

// addOne is add for one vector.
func (j *lookupJob) addOne(block, blocks, from, to int) {
	m := j.m
	step, scaleStep := lookupRows*m.cols/4, scaleBytes*m.cols/m.group
	each := to - from // columns whose scales follow each other
	if j.part < m.group {
		each = j.part
	}
	for b := block; b < block+blocks; b++ {
		for column := from; column < to; column += each {
			j.k.lookup.vector(&j.y[b*lookupRows], &m.codes[b*step+column/4*lookupRows], &j.tables[column/2*lookupBytes],
				&m.scales[b*scaleStep+column/m.group*scaleBytes], &j.units[column/j.part], each/j.part, j.part/8)
		}
	}
}
