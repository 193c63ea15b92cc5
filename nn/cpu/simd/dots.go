package simd

import (
	"math/bits"
	"unsafe"

	"bitgpu/nn/cpu/parallel"
)

// Products with an Interleaved matrix by an instruction that adds the products of four unsigned bytes with four signed ones to 32
// bits (of VNNI, in AVX-512 or AVX-VNNI), or, with AVX2, one that adds two of them to 16 bits. The unsigned bytes are codes, weights
// plus one, which only a shift and a mask takes out of the matrix; the sum of a chunk is therefore too large by the sum of its
// elements, which is known beforehand. The signed bytes are the elements as whole numbers of 24 bits, as many as a float32 has:
// three digits of base 256, from −128 to 127, whose products are summed separately. The sums are exact until the sum of a chunk is
// multiplied by the scale of its group. Elements that are int8 already have one byte, and a third of the work. AVX2 without VNNI
// does only these, because with floats its lookups are as fast. In AVX-512 several vectors of floats are looked up, too, without AMX.
//
// On an Emerald Rapids, two cores with a matrix that their caches hold did 125 to 135 billion products of weights a second with one
// vector and 180 to 195 billion with four and more; they do 174 billion multiply-adds of floats. On a Zen 4 (118 billion) they did 125
// to 145, whatever the number of vectors; looked up, 145 to 210 with 8 and 195 to 250 with 128.

// dotProduct adds, to 16 elements of y for each of some vectors yStep bytes apart, the products of codes with bytes of x, times the
// scales, in chunks of lines times 16 columns; or for one vector the same for several blocks, whose codes and scales lie steps
// apart for each 16 of them. sums holds the dotSum of each chunk and vector.
type dotProduct func(y *float32, yStep int, codes *byte, codesStep int, x *int8, sums, scales *byte, scalesStep, chunks, lines int)

// dotKernels are the inner loops of products of whole numbers.
type dotKernels struct {
	// planes turns 16·lines elements, times scale, into bytes in the order of dotProduct, with step bytes from one line to the
	// next. It returns the sum of the whole numbers.
	planes func(dst *int8, step int, x *float32, scale float32, lines int) (sum int32)
	bytes  func(dst, q *int8, step, lines int) (sum int32) // does it for int8
	three  dotProducts                                     // for planes of floats; none with AVX2 alone
	one    dotProducts                                     // for int8
	amx    *amxKernels                                     // for several vectors; nil where the processor or the system has none

	batches []*batchKernels // for several vectors of floats, where there is no AMX: most first
}

// dotProducts are the products of 16 rows with 1, 2, 4 and 8 vectors, as far as there are registers, and of several blocks of 16
// rows with one vector.
type dotProducts struct {
	vectors [4]dotProduct
	rows    dotProduct
	blocks  int // that rows takes, 0 where it is nil
}

// tile returns the largest number of vectors of a product.
func (p *dotProducts) tile() int {
	most := dotTile
	for p.vectors[bits.TrailingZeros(uint(most))] == nil {
		most /= 2
	}
	return most
}

// dotSum belongs to a chunk of a vector: the sum of its whole numbers, and the value that 1 stands for.
type dotSum struct {
	sum  int32
	unit float32
}

const (
	dotRows    = 16 // of a block
	dotBlocks  = 4  // that dotProducts.rows takes at most
	dotColumns = 16 // of a line of codes
	dotLine    = dotRows * dotColumns / 4
	dotTile    = 8 // vectors that any product takes at most

	dotMost  = 127<<16 + 127<<8 + 127 // the largest whole number of three digits
	dotCache = 24 << 10               // bytes of a tile's digits that stay in a core's first cache, about half of it
)

// dotOnes are the scales of a matrix without groups.
var dotOnes = [dotRows]uint16{0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00}

// dotJob is one product, divided by blocks of rows. Its buffers are kept for the next one.
type dotJob struct {
	k            *kernels
	m            *Interleaved
	products     *dotProducts
	y            []float32
	n, planes    int
	part, chunks int       // columns of a chunk, chunks of a row
	group        int       // vectors whose digits fill two tiles, with AMX
	x            []float32 // the vectors, of floats
	q            []int8    // or of int8
	scales       []float32 // that these were multiplied by

	digits []int8   // of tiles of vectors: of lines, of vectors, of planes
	sums   []dotSum // of tiles of vectors: of chunks, of vectors
}

var dotJobs = newFreeList[dotJob]()

func (j *dotJob) matMul(k *kernels, m *Interleaved, y, x []float32, n int) {
	j.products, j.planes, j.x, j.q, j.scales = &k.dots.three, 3, x, nil, nil
	j.part, j.chunks = m.chunks(dotColumns, longestPart)
	done := 0
	if j.k, j.m, j.n = k, m, n; !j.useAMX() {
		done = m.matMulBatches(k, k.dots.batches, j.part, y, x, n)
	}
	j.x = x[done*m.cols:]
	j.run(k, m, y[done*m.rows:], n-done)
}

func (j *dotJob) matMulI8(k *kernels, m *Interleaved, y []float32, q []int8, scales []float32, n int) {
	j.products, j.planes, j.x, j.q, j.scales = &k.dots.one, 1, nil, q, scales
	j.part, j.chunks = m.chunks(dotColumns, m.cols)
	j.run(k, m, y, n)
}

func (j *dotJob) run(k *kernels, m *Interleaved, y []float32, n int) {
	j.k, j.m, j.y, j.n = k, m, y, n
	switch {
	case j.useAMX():
		j.runAMX()
	case n > 0:
		j.digits = grow(j.digits, n*m.cols*j.planes)
		j.sums = grow(j.sums, n*j.chunks)
		parallel.For(n*j.chunks, chunkElements/(8*j.part)+1, (*digitPhase)(j))
		parallel.For(m.rows/dotRows, ceilDiv(chunkElements, dotBlocks*dotRows*m.cols)*dotBlocks, j)
	}
	j.k, j.m, j.y, j.x, j.q, j.scales = nil, nil, nil, nil, nil, nil
}

// tile returns the first of the vectors that vector v is handled together with, and their number.
func (j *dotJob) tile(v int) (first, vectors int) {
	most := j.products.tile()
	first = j.n / most * most
	if v < first {
		return v / most * most, most
	}
	for vectors = most / 2; ; vectors /= 2 {
		if j.n&vectors == 0 {
			continue
		}
		if v < first+vectors {
			return first, vectors
		}
		first += vectors
	}
}

// digitPhase turns the elements of chunks into whole numbers.
type digitPhase dotJob

func (p *digitPhase) Run(start, end int) {
	j := (*dotJob)(p)
	for at := start; at < end; at++ {
		v, c := at/j.chunks, at%j.chunks
		first, vectors := j.tile(v)
		step := vectors * j.planes * dotColumns
		dst := &j.digits[first*j.m.cols*j.planes+c*j.part/dotColumns*step+(v-first)*j.planes*dotColumns]
		sum := &j.sums[first*j.chunks+c*vectors+v-first]
		if j.q != nil {
			sum.sum = j.k.dots.bytes(dst, &j.q[at*j.part], step, j.part/dotColumns)
			sum.unit = 1 / j.scales[v]
			continue
		}
		x := j.x[at*j.part : (at+1)*j.part]
		var scale float32
		scale, sum.unit = j.m.wholeScale(j.k, x)
		sum.sum = j.k.dots.planes(dst, step, &x[0], scale, j.part/dotColumns)
	}
}

// Run computes the rows of blocks start to end of the result.
func (j *dotJob) Run(start, end int) {
	m := j.m
	for v := range j.n {
		clear(j.y[v*m.rows+start*dotRows : v*m.rows+end*dotRows])
	}
	slab := m.cols // columns whose codes are read again for each tile
	if most := j.products.tile(); j.n > most {
		whole := max(m.group, j.part)
		slab = max(dotCache/(most*j.planes)/whole, 1) * whole
	}
	for from := 0; from < m.cols; from += slab {
		for v := 0; v < j.n; {
			first, vectors := j.tile(v)
			v = first + vectors
			for block := start; block < end; {
				blocks := 1
				if rows := j.products.blocks; vectors == 1 && rows > 0 && block+rows <= end {
					blocks = rows
				}
				j.add(first, vectors, block, blocks, from, min(from+slab, m.cols))
				block += blocks
			}
		}
	}
}

// add adds the products of some columns of blocks with a tile of vectors.
func (j *dotJob) add(first, vectors, block, blocks, from, to int) {
	m := j.m
	product := j.products.rows
	if blocks == 1 {
		product = j.products.vectors[bits.TrailingZeros(uint(vectors))]
	}
	codesStep, scalesStep := dotRows*m.cols/4, 2*dotRows*m.groups()
	each := to - from // columns whose scales follow each other
	if j.part != m.group {
		each = j.part
	}
	for column := from; column < to; column += each {
		product(&j.y[first*m.rows+block*dotRows], 4*m.rows, &m.codes[block*codesStep+column/dotColumns*dotLine], codesStep,
			&j.digits[(first*m.cols+column*vectors)*j.planes], (*byte)(unsafe.Pointer(&j.sums[first*j.chunks+column/j.part*vectors])),
			m.scalesAt(block, column), scalesStep, each/j.part, j.part/dotColumns)
	}
}
