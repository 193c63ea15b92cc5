package simd

import (
	"encoding/binary"
	"fmt"
	"math"

	"bitgpu/nn/cpu/parallel"
)

// Interleaved is a packed ternary matrix with a scale for each group of weights, as of TernaryGroupMatMul, for products
// that look up instead of multiplying. The codes of two weights are four bits, which choose one of the 16 sums that two
// elements of a vector can give; one instruction chooses for 32 rows at once, so their bytes lie side by side. To be sums
// of whole numbers, the elements are rounded to 23 bits of the largest of their chunk, with its sign: as float32 rounds
// that one. Such sums are exact, until a chunk's is multiplied with the scale of its group.
//
// On Zen 3 a lookup for 32 rows takes half of the time of the 64 multiply-adds and of making floats of their codes:
// BenchmarkPublic has the ratios. The idea is that of T-MAC (arXiv 2407.00088), with tables as exact as float32.
type Interleaved struct {
	rows, cols, group int
	codes, scales     []byte // 32 rows after the other; of each column of bytes 32 by lookupPlace
}

// lookupKernels are the inner loops of Interleaved.
type lookupKernels struct {
	// interleave makes lines of 32 bytes, by lookupPlace, of 16·blocks columns of 32 rows, stride bytes apart.
	interleave func(dst, src *byte, stride, blocks int)
	// split makes two lines of each of an even number of lines, of the lower nibbles and of the upper ones, and puts those
	// of blocks of 32 rows, stride bytes apart, side by side.
	split func(dst, src *byte, columns, blocks, stride int)
	// tables writes the sums of each two of 8·eights elements times scale: lookupBytes of them.
	tables func(dst *byte, x *float32, scale float32, eights int)
	// vector adds to 32 elements of y chunks of sums of what the nibbles of 2·fours lines of codes find in tables, times
	// units and the rows' scales.
	vector func(y *float32, codes, tables, scales *byte, units *float32, chunks, fours int)
	// one adds to 32 elements of y, four to 128, the sums of what 4·fours of their nibbles find in tables, times unit and
	// the rows' scales; those of each next 32 rows are scaleStep bytes on. room is for lookupSums bytes.
	one, four func(y *float32, nibbles, tables, scales *byte, scaleStep int, unit float32, fours int, room *byte)
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

// lookupPlace is where the byte of a row is in a line: sums of even places and of odd ones as floats are then rows in
// their order.
func lookupPlace(row int) int { return row/4%2*16 + row/8%2*8 + row%4*2 + row/16 }

// Interleave copies a matrix, or keeps its codes where they are if they are spare. It returns nil where the rows are no
// multiple of 32, and where the processor multiplies as fast as it looks up.
func Interleave(codes []byte, scales []uint16, group, rows, cols int, spare bool) *Interleaved {
	checkTernary("Interleave", rows*cols, len(codes), rows, cols)
	checkGroups("Interleave", len(scales), group, rows, cols)
	if active.Load().lookup == nil || rows%lookupRows > 0 || rows == 0 || cols == 0 {
		return nil
	}
	m := &Interleaved{rows, cols, group, codes, make([]byte, 2*len(scales))}
	if !spare {
		m.codes = make([]byte, len(codes))
	}
	parallel.For(rows/lookupRows, ceilDiv(codeGrain, lookupRows*cols), &interleaving{m, codes, scales})
	return m
}

// Bytes is the memory that the matrix takes, 0 of nil.
func (m *Interleaved) Bytes() int {
	if m == nil {
		return 0
	}
	return len(m.codes) + len(m.scales)
}

// interleaving fills blocks of 32 rows of a matrix.
type interleaving struct {
	m      *Interleaved
	codes  []byte
	scales []uint16
}

// Run fills the blocks start to end.
func (i *interleaving) Run(start, end int) {
	m, k := i.m, active.Load()
	width, groups := m.cols/4, m.cols/m.group
	room := lookupRooms.get()
	room.codes, room.halves = grow(room.codes, lookupRows*width), grow(room.halves, lookupRows*2*groups)
	codes, halves := room.codes, room.halves
	for b := start; b < end; b++ {
		copy(codes, i.codes[b*lookupRows*width:][:lookupRows*width])
		for g, s := range i.scales[b*lookupRows*groups:][:lookupRows*groups] {
			binary.LittleEndian.PutUint16(halves[2*g:], s)
		}
		interleave(k, m.codes[b*lookupRows*width:], codes, width)
		interleave(k, m.scales[b*scaleBytes*groups:], halves, 2*groups)
	}
	lookupRooms.put(room)
}

// interleave turns 32 rows of width bytes around; where they are no whole blocks of 16 the last one begins inside of the
// one before.
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

// Packed writes rows from one on as they were before: codes (n, cols/4) and scales (n, cols/group).
func (m *Interleaved) Packed(codes []byte, scales []uint16, row, n int) {
	width, groups := m.cols/4, m.cols/m.group
	for i := range n {
		block, place := (row+i)/lookupRows, lookupPlace((row+i)%lookupRows)
		lines := m.codes[block*lookupRows*width+place:]
		for c := range width {
			codes[i*width+c] = lines[c*lookupRows]
		}
		lines = m.scales[block*scaleBytes*groups+place:]
		for g := range groups {
			scales[i*groups+g] = uint16(lines[g*scaleBytes]) | uint16(lines[g*scaleBytes+lookupRows])<<8
		}
	}
}

// Row writes the weights of row r (cols) as floats, scaled.
func (m *Interleaved) Row(dst []float32, r int) {
	block, place := r/lookupRows, lookupPlace(r%lookupRows)
	lines, scales := m.codes[block*lookupRows*m.cols/4+place:], m.scales[block*scaleBytes*m.cols/m.group+place:]
	for c := 0; c < m.cols; c += m.group {
		at := c / m.group * scaleBytes
		scale := half(uint16(scales[at]) | uint16(scales[at+lookupRows])<<8)
		for i := c; i < c+m.group; i += 4 {
			codes := lines[i/4*lookupRows]
			for k := range 4 {
				dst[i+k] = scale * float32(int(codes>>(2*k)&3)-1)
			}
		}
	}
}

// lookupJob is one product, cut by 32 rows of m. Its buffers stay for the next one.
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

// lookupRoom is what one core needs.
type lookupRoom struct {
	nibbles []byte // of a chunk
	sums    [lookupSums]byte
	codes   []byte // as they were before
	scales  []uint16
	halves  []byte    // scales as bytes
	part    []float32 // of MatMulI8
}

// rowsTogether is how many rows MatMulI8 puts together at a time.
const rowsTogether = 256

var lookupRooms = newFreeList[lookupRoom]()

// MatMul is TernaryGroupMatMul for any number of vectors.
func (m *Interleaved) MatMul(y, x []float32, n int) {
	if n < 0 || len(y) != n*m.rows || len(x) != n*m.cols {
		panic(fmt.Sprintf("simd: MatMul: y %d, x %d elements for rows %d, cols %d, n %d", len(y), len(x), m.rows, m.cols, n))
	}
	j := lookupJobs.get()
	j.m, j.k = m, active.Load()
	if j.k.lookup == nil {
		j.n, j.x, j.y = n, x, y
		parallel.For(m.rows/lookupRows, 1, (*packedPhase)(j))
	} else {
		j.lookup(y, x, n)
	}
	j.m, j.x, j.y = nil, nil, nil
	lookupJobs.put(j)
}

func (j *lookupJob) lookup(y, x []float32, n int) {
	m := j.m
	parts := ceilDiv(m.group, longestPart)
	for m.group/groupUnit%parts != 0 { // equal parts, of whole units
		parts++
	}
	j.part = m.group / parts
	j.chunks = m.cols / j.part
	for v := 0; v < n; v += lookupVectors {
		j.n = min(lookupVectors, n-v)
		j.x, j.y = x[v*m.cols:(v+j.n)*m.cols], y[v*m.rows:(v+j.n)*m.rows]
		j.tables = grow(j.tables, j.n*j.tablesLen())
		j.units = grow(j.units, j.n*j.chunks)
		parallel.For(j.n*j.chunks, chunkElements/(8*j.part)+1, (*tablePhase)(j))
		parallel.For(m.rows/lookupRows, ceilDiv(chunkElements, lookupBlocks*lookupRows*m.cols)*lookupBlocks, j)
	}
}

// packedPhase multiplies on levels that do not look up.
type packedPhase lookupJob

func (p *packedPhase) Run(start, end int) {
	m, room := p.m, lookupRooms.get()
	width, groups := m.cols/4, m.cols/m.group
	room.codes, room.scales = grow(room.codes, lookupRows*width), grow(room.scales, lookupRows*groups)
	scales := scaleRooms.get()
	for b := start; b < end; b++ {
		row := b * lookupRows
		m.Packed(room.codes, room.scales, row, lookupRows)
		wide := scales.widened(p.k, room.scales, 1)
		for v := range p.n {
			p.k.group.one(p.y[v*m.rows+row:][:lookupRows], room.codes, wide, p.x[v*m.cols:(v+1)*m.cols], groups, m.group)
		}
	}
	scaleRooms.put(scales)
	lookupRooms.put(room)
}

// tablesLen is the bytes of a vector's tables.
func (j *lookupJob) tablesLen() int { return j.m.cols / 2 * lookupBytes }

// tablePhase makes tables of chunks.
type tablePhase lookupJob

func (p *tablePhase) Run(start, end int) {
	for c := start; c < end; c++ {
		x := p.x[c*p.part : (c+1)*p.part]
		scale, unit := wholeScale(p.k, x)
		p.units[c] = unit
		p.k.lookup.tables(&p.tables[c*p.part/2*lookupBytes], &x[0], scale, p.part/8)
	}
}

// wholeScale is the power of two that makes x whole numbers below 2²², and what 1 is then; NaN if one of x is not finite.
func wholeScale(k *kernels, x []float32) (scale, unit float32) {
	most := k.absMax(x)
	if sum := k.sumSquares(x); sum != sum || math.IsInf(float64(most), 0) {
		return 0, float32(math.NaN())
	}
	_, exponent := math.Frexp(float64(most))
	shift := lookupBits - max(exponent, -100)
	return float32(math.Ldexp(1, shift)), float32(math.Ldexp(1, -shift))
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

// add adds the products of some columns of 32 rows, or of lookupBlocks times as many.
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

// MatMulI8 is TernaryGroupMatMulI8, for a matrix that was not meant for it: its rows are put together again each time.
func (m *Interleaved) MatMulI8(y []float32, q []int8, scales []float32, n int) {
	room := lookupRooms.get()
	width, groups := m.cols/4, m.cols/m.group
	for row := 0; row < m.rows; row += rowsTogether {
		rows := min(rowsTogether, m.rows-row)
		room.codes, room.scales = grow(room.codes, rows*width), grow(room.scales, rows*groups)
		room.part = grow(room.part, n*rows)
		m.Packed(room.codes, room.scales, row, rows)
		TernaryGroupMatMulI8(room.part, room.codes, room.scales, m.group, q, scales, rows, m.cols, n)
		for v := range n {
			copy(y[v*m.rows+row:][:rows], room.part[v*rows:])
		}
	}
	lookupRooms.put(room)
}
