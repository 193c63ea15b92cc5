package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"bitgpu/nn/cpu/parallel"
)

// Interleaved is a packed ternary matrix, with a scale for each group of weights as in TernaryGroupMatMul or without, whose codes
// lie in the order in which the processor's best product reads them: for each place of a block of rows, those of all rows side by
// side. Rows at the end that fill no block stay as they were.
// These products compute with whole numbers, which represent the elements of a vector to 23 bits of the largest one nearby; see
// lookup.go and dots.go.
type Interleaved struct {
	rows, cols, group int
	dots              bool   // blocks of 16 rows, for dotKernels, not of 32 rows, for lookupKernels
	codes, scales     []byte // of a block after those of another; without groups there are no scales
}

// Interleave copies a matrix, or reorders its codes in place if they are spare. Without groups there are no scales. It returns nil
// if the processor has nothing better than TernaryMatMul and its relatives, or if there is no whole block. With int8 the matrix is
// for MatMulI8, which does not use lookups: it gets the order of dotKernels, or is nil if there are none.
func Interleave(codes []byte, scales []uint16, group, rows, cols int, spare, int8 bool) *Interleaved {
	checkTernary("Interleave", rows*cols, len(codes), rows, cols)
	if group != 0 || len(scales) > 0 {
		checkGroups("Interleave", len(scales), group, rows, cols)
	}
	k := active.Load()
	m := &Interleaved{rows: rows, cols: cols, group: group, codes: codes}
	switch {
	case cols == 0:
		return nil
	case k.dots != nil && (int8 || k.dots.three.vectors[0] != nil) && rows >= dotRows && cols%dotColumns == 0:
		m.dots = true
	case k.lookup == nil || rows < lookupRows || group == 0 || int8:
		return nil
	}
	whole := m.wholeRows()
	if !spare {
		m.codes = make([]byte, len(codes))
		copy(m.codes[whole*cols/4:], codes[whole*cols/4:])
	}
	m.scales = make([]byte, 2*len(scales))
	for g := whole * m.groups(); g < len(scales); g++ {
		binary.LittleEndian.PutUint16(m.scales[2*g:], scales[g])
	}
	parallel.For(rows/m.blockRows(), ceilDiv(codeGrain, m.blockRows()*cols), &interleaving{m, codes, scales})
	return m
}

// Bytes returns the memory that the matrix takes, 0 for nil.
func (m *Interleaved) Bytes() int {
	if m == nil {
		return 0
	}
	return len(m.codes) + len(m.scales)
}

// blockRows is the number of rows of a block.
func (m *Interleaved) blockRows() int {
	if m.dots {
		return dotRows
	}
	return lookupRows
}

// wholeRows is the number of rows in blocks.
func (m *Interleaved) wholeRows() int { return m.rows / m.blockRows() * m.blockRows() }

// groups is the number of scales of a row.
func (m *Interleaved) groups() int {
	if m.group == 0 {
		return 0
	}
	return m.cols / m.group
}

// chunks divides the columns into equal chunks of whole units and at most `longest` columns, within groups. It returns the number of
// columns of a chunk, and how many chunks a row has.
func (m *Interleaved) chunks(unit, longest int) (part, n int) {
	whole := m.group
	if whole == 0 {
		whole = m.cols
	}
	parts := ceilDiv(whole, longest)
	for whole/unit%parts != 0 {
		parts++
	}
	part = whole / parts
	return part, m.cols / part
}

// wholeScale returns the power of two that turns a chunk of a vector into whole numbers, and the value that 1 then stands for; NaN if
// an element of x is not finite.
func (m *Interleaved) wholeScale(k *kernels, x []float32) (scale, unit float32) {
	most := k.absMax(x)
	if sum := k.sumSquares(x); sum != sum || math.IsInf(float64(most), 0) {
		return 0, float32(math.NaN())
	}
	_, exponent := math.Frexp(float64(most))
	shift := lookupBits - max(exponent, -100)
	if m.dots && math.Ldexp(float64(most), shift+1) <= dotMost {
		shift++
	}
	return float32(math.Ldexp(1, shift)), float32(math.Ldexp(1, -shift))
}

// scalesAt returns the scales of a block for the group of a column.
func (m *Interleaved) scalesAt(block, column int) *byte {
	if m.group == 0 {
		return (*byte)(unsafe.Pointer(&dotOnes))
	}
	return &m.scales[2*m.blockRows()*(block*m.groups()+column/m.group)]
}

// codeAt returns where byte c of a row's codes is.
func (m *Interleaved) codeAt(row, c int) int {
	switch {
	case row >= m.wholeRows():
		return row*m.cols/4 + c
	case m.dots:
		return (row/dotRows*m.cols/4+c/4*4)*dotRows + row%dotRows*4 + c%4
	}
	return (row/lookupRows*m.cols/4+c)*lookupRows + lookupPlace(row%lookupRows)
}

// scale returns the scale of group g of a row.
func (m *Interleaved) scale(row, g int) uint16 {
	switch {
	case row >= m.wholeRows():
		return binary.LittleEndian.Uint16(m.scales[2*(row*m.groups()+g):])
	case m.dots:
		return binary.LittleEndian.Uint16(m.scales[2*((row/dotRows*m.groups()+g)*dotRows+row%dotRows):])
	}
	at := (row/lookupRows*m.groups()+g)*scaleBytes + lookupPlace(row%lookupRows)
	return uint16(m.scales[at]) | uint16(m.scales[at+lookupRows])<<8
}

// interleaving is the task that fills the blocks of a matrix.
type interleaving struct {
	m      *Interleaved
	codes  []byte
	scales []uint16
}

// Run fills the blocks start to end.
func (i *interleaving) Run(start, end int) {
	m, k := i.m, active.Load()
	rows, width, groups := m.blockRows(), m.cols/4, m.groups()
	room := turnedRooms.get()
	room.codes, room.halves = grow(room.codes, rows*width), grow(room.halves, rows*2*groups)
	codes, halves := room.codes, room.halves
	for b := start; b < end; b++ {
		copy(codes, i.codes[b*rows*width:][:rows*width])
		for g, s := range i.scales[b*rows*groups:][:rows*groups] {
			binary.LittleEndian.PutUint16(halves[2*g:], s)
		}
		if m.dots {
			turnAround(m.codes[b*rows*width:], codes, width, 4)
			turnAround(m.scales[b*rows*2*groups:], halves, 2*groups, 2)
			continue
		}
		interleave(k, m.codes[b*rows*width:], codes, width)
		interleave(k, m.scales[b*scaleBytes*groups:], halves, 2*groups)
	}
	turnedRooms.put(room)
}

// turnAround puts the first unit bytes of 16 rows of `width` bytes side by side, then the next ones, and so on.
func turnAround(dst, src []byte, width, unit int) {
	for c := 0; c < width; c += unit {
		for r := range dotRows {
			copy(dst[c*dotRows+r*unit:][:unit], src[r*width+c:])
		}
	}
}

// turnedRoom is scratch memory for rows in the order that they had before.
type turnedRoom struct {
	codes  []byte
	scales []uint16
	halves []byte    // scales as bytes
	part   []float32 // of a product
}

var turnedRooms = newFreeList[turnedRoom]()

// Packed writes n rows, starting with a given one, as they were before: codes (n, cols/4) and scales (n, cols/group).
func (m *Interleaved) Packed(codes []byte, scales []uint16, row, n int) {
	width, groups := m.cols/4, m.groups()
	for i := range n {
		m.gather(codes[i*width:(i+1)*width], row+i)
		for g := range groups {
			scales[i*groups+g] = m.scale(row+i, g)
		}
	}
}

// Row writes the weights of row r (cols) as floats, times the scales of groups.
func (m *Interleaved) Row(dst []float32, r int) {
	k, room := active.Load(), turnedRooms.get()
	room.codes = grow(room.codes, ternaryStride(m.cols))
	m.gather(room.codes, r)
	if m.group == 0 {
		k.ternaryDecode(dst[:m.cols], room.codes, 1)
	}
	for g := range m.groups() {
		k.ternaryDecode(dst[g*m.group:(g+1)*m.group], room.codes[g*m.group/4:(g+1)*m.group/4], half(m.scale(r, g)))
	}
	turnedRooms.put(room)
}

// gather writes the codes of row r (cols/4) as they were before.
func (m *Interleaved) gather(codes []byte, r int) {
	from := m.codes[m.codeAt(r, 0):]
	switch {
	case r >= m.wholeRows():
		copy(codes, from)
	case m.dots:
		for c := 0; c < len(codes); c += 4 {
			copy(codes[c:c+4], from[c*dotRows:])
		}
	default:
		for c := range codes {
			codes[c] = from[c*lookupRows]
		}
	}
}

// MatMul is TernaryGroupMatMul, or TernaryMatMul, for any number of vectors.
func (m *Interleaved) MatMul(y, x []float32, n int) {
	if n < 0 || len(y) != n*m.rows || len(x) != n*m.cols {
		panic(fmt.Sprintf("simd: MatMul: y %d, x %d elements for rows %d, cols %d, n %d", len(y), len(x), m.rows, m.cols, n))
	}
	if n == 0 {
		return
	}
	k, done := active.Load(), 0
	switch {
	case m.dots && k.dots != nil && k.dots.three.vectors[0] != nil:
		j := dotJobs.get()
		j.matMul(k, m, y, x, n)
		dotJobs.put(j)
		done = m.wholeRows()
	case !m.dots && k.lookup != nil:
		m.lookUp(k, y, x, n)
		done = m.wholeRows()
	}
	room := turnedRooms.get()
	for rows := range room.parts(m, done, y, n) {
		if m.group == 0 {
			TernaryMatMul(room.part, room.codes, x, rows, m.cols, n)
			continue
		}
		TernaryGroupMatMul(room.part, room.codes, room.scales, m.group, x, rows, m.cols, n)
	}
	turnedRooms.put(room)
}

// MatMulI8 is TernaryGroupMatMulI8, or TernaryMatMulI8.
func (m *Interleaved) MatMulI8(y []float32, q []int8, scales []float32, n int) {
	if n < 0 || len(y) != n*m.rows || len(q) != n*m.cols || len(scales) != n {
		panic(fmt.Sprintf("simd: MatMulI8: y %d, q %d, scales %d elements for rows %d, cols %d, n %d", len(y), len(q), len(scales), m.rows, m.cols, n))
	}
	if n == 0 {
		return
	}
	k, done := active.Load(), 0
	if m.dots && k.dots != nil {
		j := dotJobs.get()
		j.matMulI8(k, m, y, q, scales, n)
		dotJobs.put(j)
		done = m.wholeRows()
	}
	room := turnedRooms.get()
	for rows := range room.parts(m, done, y, n) {
		if m.group == 0 {
			TernaryMatMulI8(room.part, room.codes, q, scales, rows, m.cols, n)
			continue
		}
		TernaryGroupMatMulI8(room.part, room.codes, room.scales, m.group, q, scales, rows, m.cols, n)
	}
	turnedRooms.put(room)
}

// partRows is how many rows are restored at a time for products that read them as they were.
const partRows = 256

// parts restores some rows after the other, from `first` on, and yields how many there are. The caller leaves their product with n
// vectors in the room, and parts copies it to y (n, rows).
func (r *turnedRoom) parts(m *Interleaved, first int, y []float32, n int) func(yield func(rows int) bool) {
	return func(yield func(rows int) bool) {
		for ; first < m.rows; first += partRows {
			rows := min(partRows, m.rows-first)
			r.codes, r.scales = grow(r.codes, rows*m.cols/4), grow(r.scales, rows*m.groups())
			r.part = grow(r.part, n*rows)
			m.Packed(r.codes, r.scales, first, rows)
			yield(rows)
			for v := range n {
				copy(y[v*m.rows+first:][:rows], r.part[v*rows:])
			}
		}
	}
}
