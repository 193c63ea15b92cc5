package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lookupKernels emits products that look up sums of two weights. These are whole numbers in four planes of 6 bits, so that
// four numbers of a plane can be added in a byte. They are for AVX2: the floats of AVX-512 are as fast, and its whole numbers faster.
func lookupKernels(g *gen) {
	if g.avx512 {
		batchKernels(g)
		return
	}
	interleave(g)
	splitNibbles(g)
	lookupTables(g)
	lookupVector(g)
	for _, blocks := range []int{1, 4} {
		lookupProducts(g, blocks)
	}
	batchKernels(g)
}

const (
	lookupRows   = 32
	lookupPlanes = 4
	planeBits    = 6
	lookupBits   = 22                // of an element, without its sign
	tableBytes   = 16 * lookupPlanes // of two columns
)

// splitNibbles asks for the next bytes as it goes.
func splitNibbles(g *gen) {
	g.function("splitNibbles", "(dst, src *byte, columns, blocks, stride int)", "is lookupKernels.split.")
	dst, src, blocks, stride, step := g.arg("dst"), g.arg("src"), g.arg("blocks"), g.arg("stride"), g.GP64()
	g.MOVQ(blocks, step)
	g.SHLQ(operand.U8(5), step)
	mask := g.YMM()
	g.VMOVDQU(g.words("lookupNibble", nibbles), mask)
	g.Label("blocks")
	from, to, left := g.GP64(), g.GP64(), g.arg("columns")
	g.MOVQ(src, from)
	g.MOVQ(dst, to)
	g.Label("columns")
	g.PREFETCHT0(mem(from, ahead))
	for i := range 2 {
		low, high := g.YMM(), g.YMM()
		g.VMOVDQU(mem(from, lookupRows*i), high)
		g.VPAND(mask, high, low)
		g.VMOVDQU(low, mem(to, 0))
		g.VPSRLW(operand.U8(4), high, high)
		g.VPAND(mask, high, high)
		g.VMOVDQU(high, indexed(to, step, 1, 0))
		g.LEAQ(indexed(to, step, 2, 0), to)
	}
	g.ADDQ(operand.U8(2*lookupRows), from)
	g.SUBQ(operand.U8(2), left)
	g.JNZ(operand.LabelRef("columns"))
	g.ADDQ(stride, src)
	g.ADDQ(operand.U8(lookupRows), dst)
	g.DECQ(blocks)
	g.JNZ(operand.LabelRef("blocks"))
	g.end()
}

// lookupTables writes, for each two columns, the sums that the 16 values of their codes stand for: the first column's
// code is in the lower bits. They are whole numbers from 0 on, in four planes of 6 bits, lowest first.
func lookupTables(g *gen) {
	g.function("lookupTables", "(dst *byte, x *float32, scale float32, eights int)", "is lookupKernels.tables.")
	dst, x, eights := g.arg("dst"), g.arg("x"), g.arg("eights")
	scale := g.YMM()
	g.VBROADCASTSS(g.address("scale"), scale)
	whole := g.AllocLocal(32)
	most, least := lookupRange(g)
	bias, low := g.words("lookupBias", everywhere(2<<lookupBits)), g.words("lookupLow", everywhere(1<<planeBits-1))
	signs := func(name string, code func(i int) int) operand.Mem {
		return g.words(name, func(i int) uint32 { return uint32(int32(min(code(i)-1, 1))) })
	}
	// Registers a and b hold the sums of 0…3, 8…11 and of 4…7, 12…15, which packing puts into their order.
	first := signs("lookupFirst", func(i int) int { return i % 4 })
	secondA, secondB := signs("lookupSecondA", func(i int) int { return i / 4 * 2 }), signs("lookupSecondB", func(i int) int { return 1 + i/4*2 })
	g.Label("eights")
	g.VMOVDQU(g.wholeNumbers(mem(x, 0), scale, most, least), whole)
	for pair := range 4 {
		q0, q1, a, b := g.YMM(), g.YMM(), g.YMM(), g.YMM()
		g.VPBROADCASTD(whole.Offset(8*pair), q0)
		g.VPBROADCASTD(whole.Offset(8*pair+4), q1)
		g.VPSIGND(first, q0, q0)
		g.VPADDD(bias, q0, q0)
		g.VPSIGND(secondA, q1, a)
		g.VPADDD(q0, a, a)
		g.VPSIGND(secondB, q1, b)
		g.VPADDD(q0, b, b)
		plane := func(p int) reg.VecVirtual {
			words, other := g.YMM(), g.YMM()
			if p == 0 {
				g.VPAND(low, a, words)
				g.VPAND(low, b, other)
			} else {
				g.VPSRLD(operand.U8(p*planeBits), a, words)
				g.VPSRLD(operand.U8(p*planeBits), b, other)
				g.VPAND(low, words, words)
				g.VPAND(low, other, other)
			}
			g.VPACKUSDW(other, words, words)
			return words
		}
		for p := 0; p < lookupPlanes; p += 2 {
			bytes := plane(p)
			g.VPACKUSWB(plane(p+1), bytes, bytes)
			g.VPERMQ(operand.U8(0b11_01_10_00), bytes, bytes)
			g.VMOVDQU(bytes, mem(dst, pair*tableBytes+16*p))
		}
	}
	g.ADDQ(operand.U8(32), x)
	g.ADDQ(operand.U32(4*tableBytes), dst)
	g.DECQ(eights)
	g.JNZ(operand.LabelRef("eights"))
	g.end()
}

// lookupRange returns the largest and the least whole number.
func lookupRange(g *gen) (most, least operand.Mem) {
	return g.words("lookupMost", everywhere(1<<lookupBits-1)), g.words("lookupLeast", everywhere(-(1<<lookupBits-1)&(1<<32-1)))
}

// everywhere is the same word for all lanes.
func everywhere(n uint32) func(int) uint32 { return func(int) uint32 { return n } }

// wholeNumbers returns elements times a scale, rounded and kept within a range.
func (g *gen) wholeNumbers(x operand.Mem, scale reg.VecVirtual, most, least operand.Mem) reg.VecVirtual {
	q := g.YMM()
	g.VMULPS(x, scale, q)
	g.VCVTPS2DQ(q, q)
	g.VPMINSD(most, q, q)
	g.VPMAXSD(least, q, q)
	return q
}

// lookupProducts takes one plane of bits after the other, for which there are registers.
func lookupProducts(g *gen, blocks int) {
	g.function(fmt.Sprintf("lookupProducts%d", blocks), "(y *float32, nibbles, tables, scales *byte, scaleStep int, unit float32, fours int, room *byte)",
		"is one of lookupKernels.products.")
	room := g.arg("room")
	sum := func(p, block, half int) operand.Mem { return mem(room, ((p*blocks+block)*2+half)*32) }
	odd := g.YMM()
	g.VMOVDQU(g.words("lookupOdd", oddBytes), odd)
	tables, nibbles, fours := g.GP64(), g.GP64(), g.GP64()
	for p := range lookupPlanes {
		g.MOVQ(g.address("tables"), tables)
		g.MOVQ(g.address("nibbles"), nibbles)
		g.MOVQ(g.address("fours"), fours)
		words := make([]lookupWords, blocks)
		for b := range words {
			words[b] = newLookupWords(g)
		}
		loop := g.label("fours")
		g.Label(loop)
		found := make([]reg.VecVirtual, blocks)
		for i := range 4 {
			table := g.YMM()
			g.VBROADCASTI128(mem(tables, tableBytes*i+16*p), table)
			for b := range blocks {
				index := mem(nibbles, (i*blocks+b)*lookupRows)
				if i == 0 {
					found[b] = g.YMM()
					g.VPSHUFB(index, table, found[b])
					continue
				}
				more := g.YMM()
				g.VPSHUFB(index, table, more)
				g.VPADDB(more, found[b], found[b])
			}
		}
		for b, w := range words {
			w.add(g, found[b], odd)
		}
		g.ADDQ(operand.U32(4*blocks*lookupRows), nibbles)
		g.ADDQ(operand.U32(4*tableBytes), tables)
		g.DECQ(fours)
		g.JNZ(operand.LabelRef(loop))
		for b, w := range words {
			w.finish(g)
			g.VMOVDQU(w.all, sum(p, b, 0))
			g.VMOVDQU(w.upper, sum(p, b, 1))
		}
	}
	end := newLookupEnd(g)
	g.VBROADCASTSS(g.address("unit"), end.unit)
	y, scales := g.arg("y"), g.arg("scales")
	for b := range blocks {
		for half := range 2 {
			end.add(g, mem(y, (b*2+half)*64), scales, half, func(p int) operand.Op { return sum(p, b, half) })
		}
		if b < blocks-1 {
			g.ADDQ(g.address("scaleStep"), scales)
		}
	}
	g.end()
}

// lookupVector multiplies with one vector, without room for nibbles: it handles all planes at once.
func lookupVector(g *gen) {
	g.function("lookupVector", "(y *float32, codes, tables, scales *byte, units *float32, chunks, fours int)", "is lookupKernels.vector.")
	y, codes, tables, scales, units, chunks, fours := g.arg("y"), g.arg("codes"), g.arg("tables"), g.arg("scales"), g.arg("units"), g.arg("chunks"), g.GP64()
	odd, nibble := g.YMM(), g.YMM()
	g.Label("chunks")
	g.VMOVDQU(g.words("lookupOdd", oddBytes), odd)
	g.VMOVDQU(g.words("lookupNibble", nibbles), nibble)
	words := make([]lookupWords, lookupPlanes)
	for p := range words {
		words[p] = newLookupWords(g)
	}
	g.MOVQ(g.address("fours"), fours)
	g.Label("fours")
	var indices []reg.VecVirtual
	g.PREFETCHT0(mem(codes, ahead))
	for i := range 2 {
		low, high := g.YMM(), g.YMM()
		g.VMOVDQU(mem(codes, lookupRows*i), high)
		g.VPAND(nibble, high, low)
		g.VPSRLW(operand.U8(4), high, high)
		g.VPAND(nibble, high, high)
		indices = append(indices, low, high)
	}
	for p, w := range words {
		found := g.YMM()
		for i, index := range indices {
			more := found
			if i > 0 {
				more = g.YMM()
			}
			g.VBROADCASTI128(mem(tables, tableBytes*i+16*p), more)
			g.VPSHUFB(index, more, more)
			if i > 0 {
				g.VPADDB(more, found, found)
			}
		}
		w.add(g, found, odd)
	}
	g.ADDQ(operand.U8(2*lookupRows), codes)
	g.ADDQ(operand.U32(4*tableBytes), tables)
	g.DECQ(fours)
	g.JNZ(operand.LabelRef("fours"))
	for _, w := range words {
		w.finish(g)
	}
	end := newLookupEnd(g)
	g.VBROADCASTSS(mem(units, 0), end.unit)
	for half := range 2 {
		end.add(g, mem(y, half*64), scales, half, func(p int) operand.Op {
			if half == 0 {
				return words[p].all
			}
			return words[p].upper
		})
	}
	g.ADDQ(operand.U8(2*lookupRows), scales)
	g.ADDQ(operand.U8(4), units)
	g.DECQ(chunks)
	g.JNZ(operand.LabelRef("chunks"))
	g.end()
}

func oddBytes(int) uint32 { return 0x01000100 }
func nibbles(int) uint32  { return 0x0f0f0f0f }

// lookupWords are a plane's sums in 16 bits: of all bytes, in which only the upper ones are lost, and of the upper ones.
type lookupWords struct{ all, upper reg.VecVirtual }

func newLookupWords(g *gen) lookupWords {
	w := lookupWords{g.YMM(), g.YMM()}
	g.VPXOR(w.all, w.all, w.all)
	g.VPXOR(w.upper, w.upper, w.upper)
	return w
}

// add adds bytes, sums of four parts of 6 bits, which are lost.
func (w lookupWords) add(g *gen, bytes, odd reg.VecVirtual) {
	g.VPADDW(bytes, w.all, w.all)
	g.VPMADDUBSW(odd, bytes, bytes) // a shift would wait for the units that look up
	g.VPADDW(bytes, w.upper, w.upper)
}

// finish leaves the sums of even places in all, rows 0 to 15, and those of odd ones in upper, rows 16 to 31.
func (w lookupWords) finish(g *gen) {
	shifted := g.YMM()
	g.VPSLLW(operand.U8(8), w.upper, shifted)
	g.VPSUBW(shifted, w.all, w.all)
}

// lookupEnd makes floats of planes' sums.
type lookupEnd struct {
	bias, unit reg.VecVirtual
	pairs      operand.Mem
}

// newLookupEnd takes the bias from the kernel's argument fours; unit is left to be set.
func newLookupEnd(g *gen) lookupEnd {
	e := lookupEnd{g.YMM(), g.YMM(), g.words("lookupPairs", func(int) uint32 { return 1<<(16+planeBits) | 1 })}
	fours := g.GP64()
	g.MOVQ(g.address("fours"), fours)
	g.SHLQ(operand.U8(2+lookupBits+1), fours) // four lookups each, of 2²³ too much
	g.VMOVD(fours.As32(), e.bias.AsX())
	g.VPBROADCASTD(e.bias.AsX(), e.bias)
	return e
}

// add adds to 16 elements of y half of a block's sums.
func (e lookupEnd) add(g *gen, y operand.Mem, scales reg.GPVirtual, half int, sum func(p int) operand.Op) {
	scale, other := g.YMM(), g.YMM()
	g.VMOVDQU(mem(scales, 0), scale)
	g.VMOVDQU(mem(scales, lookupRows), other)
	if half == 0 {
		g.VPSLLW(operand.U8(8), scale, scale)
	} else {
		g.VPSRLW(operand.U8(8), other, other)
	}
	g.VPSRLW(operand.U8(8), scale, scale)
	g.VPSLLW(operand.U8(8), other, other)
	g.VPOR(other, scale, scale)
	g.VPERMQ(operand.U8(0b11_01_10_00), scale, scale)
	for part := range 2 {
		unpack := g.VPUNPCKLWD
		if part == 1 {
			unpack = g.VPUNPCKHWD
			g.VEXTRACTI128(operand.U8(1), scale, scale.AsX())
		}
		joined := func(p int) reg.VecVirtual {
			first, both := g.YMM(), g.YMM()
			g.VMOVDQU(sum(p), first)
			unpack(sum(p+1), first, both)
			g.VPMADDWD(e.pairs, both, both)
			return both
		}
		high, factor := joined(2), g.YMM()
		g.VPSLLD(operand.U8(2*planeBits), high, high)
		total := joined(0)
		g.VPADDD(high, total, total)
		g.VPSUBD(e.bias, total, total)
		g.VCVTDQ2PS(total, total)
		g.VCVTPH2PS(scale.AsX(), factor)
		g.VMULPS(e.unit, factor, factor)
		at := y.Offset(32 * part)
		g.VFMADD213PS(at, factor, total)
		g.VMOVUPS(total, at)
	}
}
