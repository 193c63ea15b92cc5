package main

import (
	"fmt"
	"math/bits"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// block is the number of weights decoded at a time: one register in AVX-512, two
// in AVX2.
const block = 16

// ahead is how many bytes of weights are prefetched: a page, because the processor's own prefetching stops at
// the end of one, and four short rows are hardly longer.
const ahead = 4096

// longRow is the size of a row above which the next rows are prefetched instead, into a core's second cache: a page ahead of four long rows
// is in the midst of them. On a Zen 4 matrices in memory are read 1.2 to 2 times as fast so, while short rows want the first cache.
const longRow = 2048

// format is how a row of weights lies in memory.
type format struct {
	name, element string // of the kernels, and the Go type of w
	bits          int    // of a weight
	// decode sets dst to the block of weights at src; tail is nil for a whole block.
	decode func(g *gen, src operand.Mem, dst []reg.VecVirtual, tail *blockTail)
	twice  bool // decode gives twice the weights
}

// blockTail represents the last n < block weights of a row.
type blockTail struct {
	n     reg.GPVirtual
	lanes []*tail      // of the registers of a block
	raw   reg.Register // AVX-512: mask of n elements, or of the bytes with n codes
	copy  operand.Mem  // AVX2: room for the encoded weights
}

func matvecKernels(g *gen) {
	formats := []format{
		{"float", "float32", 32, decodeFloat, false},
		{"half", "uint16", 16, decodeHalf, false},
		{"bfloat", "uint16", 16, decodeBfloat, false},
		{"int8", "int8", 8, decodeInt8, false},
		{"ternary", "byte", 2, decodeTernaryTwice, true},
	}
	for _, f := range formats {
		f.one(g)
		f.four(g)
	}
}

// one multiplies with one vector, four rows at a time.
func (f format) one(g *gen) {
	g.function(f.name+"One", fmt.Sprintf("(y []float32, w []%s, x []float32, cols int)", f.element),
		"is rowKernels.one.")
	f.prepare(g)
	y, rows := g.ptr("y"), g.length("y")
	w := f.rows(g)
	for _, height := range []int{4, 1} {
		loop, done := g.label("rows"), g.label("few")
		g.Label(loop)
		g.CMPQ(rows, operand.U8(height))
		g.JL(operand.LabelRef(done))
		sums := f.products(g, w, height, 1)
		storeLanes(g, sums[0], mem(y, 0), height)
		g.ADDQ(operand.U8(4*height), y)
		f.advance(g, w, height)
		g.SUBQ(operand.U8(height), rows)
		g.JMP(operand.LabelRef(loop))
		g.Label(done)
	}
	g.end()
}

// four multiplies with four vectors, with the registers of AVX-512 four rows at a time.
func (f format) four(g *gen) {
	g.function(f.name+"Four", fmt.Sprintf("(y []float32, w []%s, x []float32, rows, cols, step int)", f.element),
		"is rowKernels.four.")
	f.prepare(g)
	y := g.ptr("y")
	w := f.rows(g)
	heights := []int{1}
	if g.avx512 {
		heights = []int{4, 1}
	}
	rows := g.AllocLocal(8) // what is left
	count := g.arg("rows")
	g.MOVQ(count, rows)
	for _, height := range heights {
		loop, done := g.label("rows"), g.label("few")
		g.Label(loop)
		g.CMPQ(rows, operand.U8(height))
		g.JL(operand.LabelRef(done))
		sums := f.products(g, w, height, 4)
		step, at := g.arg("step"), g.GP64()
		g.MOVQ(y, at)
		for _, s := range sums {
			storeLanes(g, s, mem(at, 0), height)
			g.LEAQ(indexed(at, step, 4, 0), at)
		}
		g.ADDQ(operand.U8(4*height), y)
		f.advance(g, w, height)
		g.SUBQ(operand.U8(height), rows)
		g.JMP(operand.LabelRef(loop))
		g.Label(done)
	}
	g.end()
}

func storeLanes(g *gen, v reg.VecVirtual, dst operand.Mem, n int) {
	if n == 4 {
		g.VMOVUPS(v, dst)
	} else {
		g.VMOVSS(v, dst)
	}
}

// rows addresses four rows of w; the distance is in bytes.
func (f format) rows(g *gen) strided {
	s := strided{bases: []reg.GPVirtual{g.ptr("w")}, distance: g.arg("cols"), distance3: g.GP64()}
	f.bytesOf(g, s.distance, s.distance)
	g.LEAQ(indexed(s.distance, s.distance, 2, 0), s.distance3)
	return s
}

func (f format) prepare(g *gen) {
	if f.bits == 2 {
		g.loadTernaryShifts()
	}
}

// advance moves on by some rows.
func (f format) advance(g *gen, w strided, rows int) {
	g.LEAQ(indexed(w.bases[0], w.distance, uint8(rows), 0), w.bases[0])
}

// products multiplies the next rows with the vectors. The result has, for each
// vector, its products with the rows in the first lanes.
func (f format) products(g *gen, w strided, rows, vectors int) []reg.VecVirtual {
	parts := block / g.lanes() // registers of a block
	sums := make([][][]reg.VecVirtual, vectors)
	for v := range sums {
		for range rows {
			s := g.vecs(parts)
			for _, part := range s {
				g.zero(part)
			}
			sums[v] = append(sums[v], s)
		}
	}
	at := strided{bases: []reg.GPVirtual{g.GP64()}, distance: w.distance, distance3: w.distance3}
	g.MOVQ(w.bases[0], at.bases[0])
	cols := g.arg("cols")
	x := strided{bases: []reg.GPVirtual{g.ptr("x")}}
	if vectors > 1 {
		x = newStrided(g, x.bases[0], g.arg("cols"), vectors)
	}

	multiply := func(t *blockTail) { f.multiply(g, at, x, sums, parts, t, g.addProduct) }
	next := func(prefetch func(operand.Op), coming reg.GPVirtual) {
		size := rows * block * f.bits / 8
		for line := 0; line < size; line += 64 {
			prefetch(mem(coming, line))
		}
		g.ADDQ(operand.U32(size), coming)
		g.ADDQ(operand.U8(block*f.bits/8), at.bases[0])
		g.ADDQ(operand.U8(block*4), x.bases[0])
	}
	coming := g.GP64()
	if f.bits >= 16 { // others are seldom that long
		loop, short := g.label("long"), g.label("short")
		g.CMPQ(w.distance, operand.U32(longRow))
		g.JBE(operand.LabelRef(short))
		g.LEAQ(indexed(w.bases[0], w.distance, uint8(rows), 0), coming)
		g.SUBQ(operand.U8(block), cols)
		g.Label(loop)
		multiply(nil)
		next(g.PREFETCHT1, coming)
		g.SUBQ(operand.U8(block), cols)
		g.JGE(operand.LabelRef(loop))
		g.ADDQ(operand.U8(block), cols)
		g.Label(short)
	}
	g.LEAQ(mem(w.bases[0], ahead), coming)
	g.blocks(f, cols, multiply, func() { next(g.PREFETCHT0, coming) })

	across := func(of func(i int) []reg.VecVirtual, n int) reg.VecVirtual {
		var totals []reg.VecVirtual
		for i := range n {
			s := of(i)
			if parts == 2 {
				g.VADDPS(s[1], s[0], s[0])
			}
			totals = append(totals, s[0])
		}
		sum := g.horizontal(totals)
		if f.twice {
			g.VMULPS(g.float("half", 0.5), sum, sum)
		}
		return sum
	}
	if rows == 1 { // all vectors' sums together, then apart
		all := across(func(v int) []reg.VecVirtual { return sums[v][0] }, vectors)
		results := []reg.VecVirtual{all}
		for v := 1; v < vectors; v++ {
			lane := g.XMM()
			g.VPERMILPS(operand.U8(v), all, lane)
			results = append(results, lane)
		}
		return results
	}
	var results []reg.VecVirtual
	for v := range sums {
		results = append(results, across(func(r int) []reg.VecVirtual { return sums[v][r] }, rows))
	}
	return results
}

// addProduct adds the products of the lanes of x and w to a sum.
func (g *gen) addProduct(x operand.Op, w, sum reg.VecVirtual) { g.VFMADD231PS(x, w, sum) }

// multiply puts the products of one block into the sums, by add.
func (f format) multiply(g *gen, w, x strided, sums [][][]reg.VecVirtual, parts int, tail *blockTail, add func(x operand.Op, w, sum reg.VecVirtual)) {
	rows := len(sums[0])
	weights := make([][]reg.VecVirtual, rows)
	decode := func(r int) {
		weights[r] = g.vecs(parts)
		f.decode(g, w.at(r), weights[r], tail)
	}
	load := func(v, p int) reg.VecVirtual {
		values := g.vec()
		g.load(x.at(v).Offset(p*g.bytes()), values, tail.part(p))
		return values
	}
	if len(sums) == 1 { // one vector: its values stay, weights come one row at a time
		values := make([]reg.VecVirtual, parts)
		for p := range values {
			values[p] = load(0, p)
		}
		for r := range rows {
			decode(r)
			for p := range parts {
				add(values[p], weights[r][p], sums[0][r][p])
			}
		}
		return
	}
	for r := range rows {
		decode(r)
	}
	for v := range sums {
		for p := range parts {
			if rows == 1 && tail == nil { // used once: read by the product itself
				add(x.at(v).Offset(p*g.bytes()), weights[0][p], sums[v][0][p])
				continue
			}
			values := load(v, p)
			for r := range rows {
				add(values, weights[r][p], sums[v][r][p])
			}
		}
	}
}

// blocks emits body, then next, for each block of n weights, and body for the
// rest, if there is one. n is used up.
func (g *gen) blocks(f format, n reg.GPVirtual, body func(t *blockTail), next func()) {
	loop, rest, done := g.label("blocks"), g.label("rest"), g.label("done")
	g.SUBQ(operand.U8(block), n)
	g.JL(operand.LabelRef(rest))
	g.Label(loop)
	body(nil)
	next()
	g.SUBQ(operand.U8(block), n)
	g.JGE(operand.LabelRef(loop))
	g.Label(rest)
	g.ADDQ(operand.U8(block), n)
	g.JZ(operand.LabelRef(done))
	body(f.tailOf(g, n))
	g.Label(done)
}

// part is the tail of register p of a block.
func (t *blockTail) part(p int) *tail {
	if t == nil {
		return nil
	}
	return t.lanes[p]
}

// tailOf makes the masks for n weights.
func (f format) tailOf(g *gen, n reg.GPVirtual) *blockTail {
	t := &blockTail{n: n}
	if g.avx512 {
		t.lanes = []*tail{g.tailOf(n)}
		t.raw = t.lanes[0].mask
		if f.bits < 8 {
			size := g.GP64()
			f.bytesOf(g, n, size)
			t.raw = g.firstBits(size)
		}
		return t
	}
	t.lanes = registerTails(g, n)
	if f.bits < 32 {
		t.copy = g.AllocLocal(32) // of the longest, aligned
	}
	return t
}

// bytesOf sets size to the number of bytes that n weights take.
func (f format) bytesOf(g *gen, n, size reg.GPVirtual) {
	if f.bits < 8 {
		g.LEAQ(mem(n, 8/f.bits-1), size)
		g.SHRQ(operand.U8(bits.TrailingZeros(uint(8/f.bits))), size)
		return
	}
	g.MOVQ(n, size)
	g.SHLQ(operand.U8(bits.TrailingZeros(uint(f.bits/8))), size)
}

// staged copies the bytes of an incomplete block to where a whole one can be read.
func (f format) staged(g *gen, src operand.Mem, t *blockTail) operand.Mem {
	from, left, value, to := g.GP64(), g.GP64(), g.GP64(), g.GP64()
	f.bytesOf(g, t.n, left)
	loop := g.label("bytes")
	g.LEAQ(src, from)
	g.LEAQ(t.copy, to)
	g.XORQ(value, value)
	for i := 0; i < block*f.bits/8; i += 4 {
		g.MOVL(value.As32(), t.copy.Offset(i))
	}
	g.Label(loop)
	g.MOVB(mem(from, 0), value.As8())
	g.MOVB(value.As8(), mem(to, 0))
	g.INCQ(from)
	g.INCQ(to)
	g.DECQ(left)
	g.JNZ(operand.LabelRef(loop))
	return t.copy
}

func decodeFloat(g *gen, src operand.Mem, dst []reg.VecVirtual, t *blockTail) {
	for p := range dst {
		g.load(src.Offset(p*g.bytes()), dst[p], t.part(p))
	}
}

func decodeHalf(g *gen, src operand.Mem, dst []reg.VecVirtual, t *blockTail) {
	if t != nil && g.avx512 {
		raw := g.YMM()
		g.VMOVDQU16_Z(src, t.raw, raw)
		g.VCVTPH2PS(raw, dst[0])
		return
	}
	if t != nil {
		src = format{bits: 16}.staged(g, src, t)
	}
	for p := range dst {
		g.VCVTPH2PS(src.Offset(p*g.bytes()/2), dst[p])
	}
}

func decodeBfloat(g *gen, src operand.Mem, dst []reg.VecVirtual, t *blockTail) {
	if t != nil && g.avx512 {
		raw := g.YMM()
		g.VMOVDQU16_Z(src, t.raw, raw)
		g.VPMOVZXWD(raw, dst[0])
		g.VPSLLD(operand.U8(16), dst[0], dst[0])
		return
	}
	if t != nil {
		src = format{bits: 16}.staged(g, src, t)
	}
	for p := range dst {
		g.VPMOVZXWD(src.Offset(p*g.bytes()/2), dst[p])
		g.VPSLLD(operand.U8(16), dst[p], dst[p])
	}
}

func decodeInt8(g *gen, src operand.Mem, dst []reg.VecVirtual, t *blockTail) {
	if t != nil && g.avx512 {
		raw := g.XMM()
		g.VMOVDQU8_Z(src, t.raw, raw)
		g.VPMOVSXBD(raw, dst[0])
		g.VCVTDQ2PS(dst[0], dst[0])
		return
	}
	if t != nil {
		src = format{bits: 8}.staged(g, src, t)
	}
	for p := range dst {
		g.VPMOVSXBD(src.Offset(p*g.bytes()/4), dst[p])
		g.VCVTDQ2PS(dst[p], dst[p])
	}
}
