package simd

import (
	"unsafe"

	"bitgpu/nn/cpu/parallel"
)

// Products of dots.go for several vectors by Intel's Advanced Matrix Extensions (AMX), whose registers are tiles of 16 rows of 64
// bytes. One instruction adds to 16×16 sums of 32 bits the product of a tile of signed bytes (16×64) with one of unsigned bytes
// (64×16). Here the first has digits, a row for each plane of each vector, and the second has codes, a column for each row of a
// block: what the lines of a block become when each code gets a byte of its own.
// The sums are exact and are scaled and added as in dots.go, so a product has the same bits as there.

// amxProduct adds the products of pairs of blocks of a matrix with vectors to y.
//
//   - y has, for each pair and for each vector, 2·16 elements.
//   - codes has lines of codes for each block, and scales has those of 16 rows for each chunk, nextScale bytes apart; for the next
//     block they are codesStep and scalesStep bytes further on. What is multiplied afterwards is at following.
//   - digits has, for each group of 2·half vectors, rows of tiles: by tile, vector and plane; sums has a dotSum by chunk and vector.
//     For the next group they are digitsStep and sumsStep bytes further on. The last group may have fewer vectors than room for them.
//   - A chunk is some tiles of 64 columns. config is that of 1 to 16 rows, an amxConfig, and room has amxRoomBytes.
type amxProduct func(y *float32, codes, following *byte, codesStep int, digits *int8, digitsStep int, sums *byte, sumsStep int, scales *byte,
	scalesStep, nextScale, blocks, lines, chunks, tiles, vectors, half int, config, room *byte)

// amxKernels are the inner loops of products by tiles.
type amxKernels struct {
	planes     func(dst *int8, step int, x *float32, scale float32, tiles int) (sum int32) // as dotKernels.planes, for rows of tiles step bytes apart
	bytes      func(dst, q *int8, step, tiles int) (sum int32)
	three, one amxProduct // for planes of floats, and for int8
}

const (
	tileRows    = 16
	tileColumns = 64
	tileBytes   = tileRows * tileColumns

	amxSlab   = 512 // columns of a pair of blocks, whose unpacked codes stay in a core's first cache
	amxBlocks = 16  // whose results are kept until all columns have been multiplied
)

// amxConfig is what LDTILECFG reads: the size of each tile.
type amxConfig struct {
	palette, start byte
	_              [14]byte
	bytes          [16]uint16 // of a row
	rows           [16]byte
}

// amxConfigs holds the configurations for 0 to 16 rows of digits: four tiles of sums, two of digits, two of codes.
var amxConfigs = func() (configs [tileRows + 1]amxConfig) {
	for rows := range configs {
		c := &configs[rows]
		c.palette = 1
		for t := range 8 {
			c.bytes[t], c.rows[t] = tileColumns, byte(rows)
		}
		c.rows[6], c.rows[7] = tileRows, tileRows
	}
	return configs
}()

// amxRoom is where a worker keeps results, and sums and unpacked codes.
type amxRoom struct {
	y     []float32
	bytes []byte
}

var amxRooms = newFreeList[amxRoom]()

// amxRoomBytes is the size of an amxProduct's room: sums of two chunks, and codes of two blocks.
func amxRoomBytes(slab int) int { return 8*tileBytes + 2*dotRows*slab }

// useAMX reports whether tiles are faster. BenchmarkAMX shows from how many vectors on: codes are unpacked once for all of them.
func (j *dotJob) useAMX() bool {
	least := 3
	if j.planes == 1 {
		least = 5
		if slab, _ := j.slab(); slab > amxSlab {
			least = 12
		}
	}
	return j.k.dots.amx != nil && j.n >= least && j.part%tileColumns == 0
}

// runAMX computes the products with tiles. Vectors are divided into groups that fill two tiles of digits, or into the fewest
// groups of equal size.
func (j *dotJob) runAMX() {
	groups := ceilDiv(j.n, 2*(tileRows/j.planes))
	j.group = 2 * ceilDiv(j.n, 2*groups)
	vectors := groups * j.group
	j.digits, j.sums = grow(j.digits, vectors*j.m.cols*j.planes), grow(j.sums, vectors*j.chunks)
	parallel.For(j.n*j.chunks, chunkElements/(8*j.part)+1, (*amxDigitPhase)(j))
	parallel.For(j.m.rows/dotRows, amxBlocks, (*amxPhase)(j))
}

// amxDigitPhase is digitPhase for tiles.
type amxDigitPhase dotJob

func (p *amxDigitPhase) Run(start, end int) {
	j := (*dotJob)(p)
	kernels := j.k.dots.amx
	for at := start; at < end; at++ {
		v, c := at/j.chunks, at%j.chunks
		first, rows := v/j.group*j.group, j.planes*tileColumns
		step := j.group * rows
		dst := &j.digits[first*j.m.cols*j.planes+c*j.part/tileColumns*step+(v-first)*rows]
		sum := &j.sums[first*j.chunks+c*j.group+v-first]
		if j.q != nil {
			sum.sum = kernels.bytes(dst, &j.q[at*j.part], step, j.part/tileColumns)
			sum.unit = 1 / j.scales[v]
			continue
		}
		x := j.x[at*j.part : (at+1)*j.part]
		var scale float32
		scale, sum.unit = j.m.wholeScale(j.k, x)
		sum.sum = kernels.planes(dst, step, &x[0], scale, j.part/tileColumns)
	}
}

// amxPhase is the multiplication.
type amxPhase dotJob

// Run computes the rows of blocks start to end of the result.
func (p *amxPhase) Run(start, end int) {
	j := (*dotJob)(p)
	m := j.m
	slab, nextScale := j.slab()
	codesStep, scalesStep := dotRows*m.cols/4, 2*dotRows*m.groups()
	room := amxRooms.get()
	room.y, room.bytes = grow(room.y, j.n*amxBlocks*dotRows), grow(room.bytes, amxRoomBytes(slab))
	for ; start < end; start += amxBlocks {
		blocks := min(amxBlocks, end-start)
		clear(room.y)
		for from := 0; from < m.cols; from += slab {
			columns := min(slab, m.cols-from)
			lines := columns / dotColumns
			codes := start*codesStep + from/dotColumns*dotLine
			following := codes + lines*dotLine
			if from+columns == m.cols {
				following = (start + blocks) * codesStep
			}
			j.amxProduct()(&room.y[0], &m.codes[codes], &m.codes[min(following, len(m.codes)-1)], codesStep,
				&j.digits[from*j.group*j.planes], j.group*m.cols*j.planes,
				(*byte)(unsafe.Pointer(&j.sums[from/j.part*j.group])), int(unsafe.Sizeof(dotSum{}))*j.group*j.chunks,
				m.scalesAt(start, from), scalesStep, nextScale, blocks, lines, columns/j.part, j.part/tileColumns, j.n, j.group/2,
				(*byte)(unsafe.Pointer(&amxConfigs[j.group/2*j.planes])), &room.bytes[0])
		}
		for v := range j.n {
			y := j.y[v*m.rows+start*dotRows:][:blocks*dotRows]
			for at := 0; at < len(y); at += 2 * dotRows {
				copy(y[at:min(at+2*dotRows, len(y))], room.y[at*j.n+v*2*dotRows:])
			}
		}
	}
	amxRooms.put(room)
}

func (j *dotJob) amxProduct() amxProduct {
	if j.planes == 1 {
		return j.k.dots.amx.one
	}
	return j.k.dots.amx.three
}

// slab returns how many columns are unpacked at a time, which are whole chunks, and the distance in bytes from one chunk's scales
// to the next one's.
func (j *dotJob) slab() (columns, nextScale int) {
	switch j.m.group {
	case 0:
		return max(amxSlab/j.part, 1) * j.part, 0
	case j.part:
		return max(amxSlab/j.part, 1) * j.part, 2 * dotRows
	}
	return j.m.group, 0
}
