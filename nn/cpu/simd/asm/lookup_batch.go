package main

import (
	"fmt"
	"math/bits"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// batch emits products that look up sums of four weights, for some vectors at once: a sum is a register of whole numbers in memory,
// an element for each vector.
type batch struct {
	*gen
	vectors int
}

// batchKernels emits those for the blocks of lookups in AVX2, and in AVX-512 those for the blocks of dot products.
func batchKernels(g *gen) {
	batchWhole(g)
	batches := []*batch{{g, 8}}
	if g.avx512 {
		batches = append(batches, &batch{g, 16})
	}
	for _, b := range batches {
		if g.lanes() == b.vectors {
			b.tables()
		}
		b.products()
		b.end()
	}
}

const (
	batchLines = 32 / 4        // of codes, for which there are tables at once
	batchSums  = 3 * 3 * 3 * 3 // of four columns
)

// sum is a new register of a whole number for each vector.
func (b *batch) sum() reg.VecVirtual {
	if b.vectors == 16 {
		return b.ZMM()
	}
	return b.YMM()
}

func (b *batch) sums(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = b.sum()
	}
	return v
}

func (b *batch) bytes() int { return 4 * b.vectors } // of a sum

// table is the size in bytes of a line's sums.
func (b *batch) table() int { return batchSums * b.bytes() }

// rows is the number of rows of a block.
func (b *batch) rows() int {
	if b.avx512 {
		return dotRows
	}
	return lookupRows
}

// name tells the functions for some vectors apart.
func (b *batch) name(name string) string { return fmt.Sprintf("%s%d", name, b.vectors) }

// batchWhole turns elements into whole numbers as the products of one vector with such blocks do.
func batchWhole(g *gen) {
	g.function("batchWhole", "(dst *int32, x *float32, scale float32, sixteens int)", "is batchKernels.whole.")
	dst, x, sixteens := g.arg("dst"), g.arg("x"), g.arg("sixteens")
	scale := g.broadcast("scale")
	const size = 16 * 4
	g.Label("sixteens")
	for at := 0; at < size; at += g.bytes() {
		q := g.vec()
		if g.avx512 {
			g.VMULPS(mem(x, at), scale, q)
			g.VCVTPS2DQ(q, q)
		} else {
			most, least := lookupRange(g)
			q = g.wholeNumbers(mem(x, at), scale, most, least)
		}
		g.VMOVUPS(q, mem(dst, at))
	}
	g.ADDQ(operand.U8(size), x)
	g.ADDQ(operand.U8(size), dst)
	g.DECQ(sixteens)
	g.JNZ(operand.LabelRef("sixteens"))
	g.end()
}

// tables writes the sums of each four columns in the order of codes as digits: 0 is −1, 1 is 0 and 2 is 1, the first column's digit is
// the lowest.
func (b *batch) tables() {
	b.function(b.name("batchTables"), "(dst, whole *int32, fours int)", "is batchKernels.tables.")
	dst, whole, fours := b.arg("dst"), b.arg("whole"), b.arg("fours")
	b.Label("fours")
	// The nine sums of two columns.
	pairs := func(column int) []reg.VecVirtual {
		first, second := b.sum(), b.sum()
		b.VMOVUPS(mem(whole, b.bytes()*column), first)
		b.VMOVUPS(mem(whole, b.bytes()*(column+1)), second)
		sums := b.sums(9)
		b.zero(sums[4])
		b.VPSUBD(second, sums[4], sums[1])
		b.VMOVUPS(second, sums[7])
		for i := range 3 {
			b.VPSUBD(first, sums[3*i+1], sums[3*i])
			b.VPADDD(first, sums[3*i+1], sums[3*i+2])
		}
		return sums
	}
	upper := b.AllocLocal(9 * b.bytes())
	for i, sum := range pairs(2) {
		b.VMOVUPS(sum, upper.Offset(b.bytes()*i))
	}
	lower := pairs(0)
	for i := range 9 {
		high := b.sum()
		b.VMOVUPS(upper.Offset(b.bytes()*i), high)
		for j, low := range lower {
			sum := b.sum()
			b.VPADDD(low, high, sum)
			b.VMOVUPS(sum, mem(dst, b.bytes()*(9*i+j)))
		}
	}
	b.ADDQ(operand.U32(4*b.bytes()), whole)
	b.ADDQ(operand.U32(b.table()), dst)
	b.DECQ(fours)
	b.JNZ(operand.LabelRef("fours"))
	b.gen.end()
}

// products turns codes into the places of sums in tables, those of a row side by side. It does so a block ahead, because these steps
// wait for each other.
func (b *batch) products() {
	b.function(b.name("batchProducts"), "(totals, before *int32, beforeStep int, codes *byte, codesStep int, tables *int32, room *byte, blocks int)",
		"is batchKernels.products.")
	totals, before, codes, tables, blocks := b.arg("totals"), b.arg("before"), b.arg("codes"), b.arg("tables"), b.arg("blocks")
	locate := b.places(codes)
	now, next := b.arg("room"), b.GP64()
	b.LEAQ(mem(now, 2*b.rows()*batchLines), next)
	const rows = 8 // of a turn of the loop
	locate(now)
	b.Label("blocks")
	b.CMPQ(blocks, operand.U8(1))
	b.JE(operand.LabelRef("products"))
	b.ADDQ(b.address("codesStep"), codes)
	locate(next)
	b.Label("products")
	left, at := b.GP64(), b.GP64()
	b.MOVQ(operand.U32(b.rows()/rows), left)
	b.MOVQ(now, at)
	b.Label("rows")
	for row := range rows {
		total, four := b.sum(), b.GP64()
		b.VMOVUPS(mem(before, b.bytes()*row), total)
		for line := range batchLines {
			place := four
			switch line % 4 { // few instructions count here, and the units that load have enough to do
			case 0:
				b.MOVQ(mem(at, 2*(batchLines*row+line)), four)
				place = b.GP64()
				b.MOVWQZX(four.As16(), place)
			case 3:
				b.SHRQ(operand.U8(48), four)
			default:
				place = b.GP64()
				b.RORXQ(operand.U8(16*(line%4)), four, place)
				b.MOVWQZX(place.As16(), place)
			}
			b.VPADDD(indexed(tables, place, 1, b.table()*line), total, total)
		}
		b.VMOVUPS(total, mem(totals, b.bytes()*row))
	}
	b.ADDQ(operand.U32(b.bytes()*rows), before)
	b.ADDQ(operand.U32(b.bytes()*rows), totals)
	b.ADDQ(operand.U32(2*batchLines*rows), at)
	b.DECQ(left)
	b.JNZ(operand.LabelRef("rows"))
	b.ADDQ(b.address("beforeStep"), before)
	b.XCHGQ(now, next)
	b.DECQ(blocks)
	b.JNZ(operand.LabelRef("blocks"))
	b.gen.end()
}

// places returns what turns the codes of a block into places of sums, as 16 bits.
func (b *batch) places(codes reg.GPVirtual) func(room reg.Register) {
	nibble, low, high, zero := b.vec(), b.vec(), b.vec(), b.vec()
	digits := func(name string, times uint32) operand.Mem {
		return b.words(name, func(lane int) (word uint32) {
			for i := range 4 {
				n := uint32(4*(lane%4) + i)
				word |= times * (min(n%4, 2) + 3*min(n/4, 2)) << (8 * i)
			}
			return word
		})
	}
	b.VMOVUPS(b.words("lookupNibble", nibbles), nibble)
	b.VMOVUPS(digits("batchLow", 1), low)
	b.VMOVUPS(digits("batchHigh", 9), high)
	b.zero(zero)
	and := func(ops ...operand.Op) {
		if b.avx512 {
			b.VPANDD(ops...)
			return
		}
		b.VPAND(ops[0], ops[1], ops[2])
	}
	return func(room reg.Register) {
		bytes := b.rows() * batchLines
		// The processor does not foresee that the next columns of these rows follow when those of all rows have been read.
		for line := 0; line < bytes; line += 64 {
			b.PREFETCHT1(mem(codes, bytes+line))
		}
		lines := make([]reg.VecVirtual, bytes/b.gen.bytes())
		for i := range lines {
			l, h := b.vec(), b.vec()
			b.VMOVUPS(mem(codes, b.gen.bytes()*i), h)
			and(nibble, h, l)
			b.VPSRLW(operand.U8(4), h, h)
			and(nibble, h, h)
			b.VPSHUFB(l, low, l)
			b.VPSHUFB(h, high, h)
			b.VPADDB(l, h, h)
			lines[i] = h
		}
		if b.avx512 { // two lines, each with four bytes of a row
			first, second := b.vec(), lines[1]
			b.VPUNPCKLDQ(second, lines[0], first)
			b.VPUNPCKHDQ(second, lines[0], second)
			lines = []reg.VecVirtual{first, second}
		} else {
			for range 3 {
				lines = interleaved(b.gen, lines)
			}
		}
		for i, numbers := range lines {
			lower := b.vec()
			b.VPUNPCKLBW(zero, numbers, lower)
			b.VPUNPCKHBW(zero, numbers, numbers)
			for j, places := range []reg.VecVirtual{lower, numbers} {
				b.VPSLLW(operand.U8(bits.TrailingZeros(uint(b.bytes()))), places, places)
				b.VMOVUPS(places, mem(room, b.gen.bytes()*(2*i+j)))
			}
		}
	}
}

// row returns where the places of a block have a row, and its scale.
func (b *batch) row(i int) (row, scale int) {
	if b.avx512 {
		row = i%4*4 + i/4
		return row, row
	}
	place := i/2 + i%2*16 // in a line of codes
	return rowOfLane(place%16) + place/16*4, place
}

// end turns totals into floats.
func (b *batch) end() {
	b.function(b.name("batchEnd"), "(y *float32, totals *int32, scales *byte, units *float32)", "is batchKernels.end.")
	y, totals, scales, units := b.arg("y"), b.arg("totals"), b.arg("scales"), b.arg("units")
	unit := b.sum()
	b.VMOVUPS(mem(units, 0), unit)
	floats := b.AllocLocal(4 * b.rows())
	if b.avx512 {
		wide := b.vec()
		b.VCVTPH2PS(mem(scales, 0), wide)
		b.VMOVUPS(wide, floats)
	} else {
		lower, upper := b.YMM(), b.YMM()
		b.VMOVDQU(mem(scales, 0), lower)
		b.VMOVDQU(mem(scales, lookupRows), upper)
		for half, unpack := range []func(...operand.Op){b.VPUNPCKLBW, b.VPUNPCKHBW} {
			halves, wide := b.YMM(), b.YMM()
			unpack(upper, lower, halves)
			for part := range 2 {
				if part == 1 {
					b.VEXTRACTI128(operand.U8(1), halves, halves.AsX())
				}
				b.VCVTPH2PS(halves.AsX(), wide)
				b.VMOVUPS(wide, floats.Offset(4*(8*half+16*part)))
			}
		}
	}
	for i := range b.rows() {
		row, place := b.row(i)
		scale, total := b.sum(), b.sum()
		b.VBROADCASTSS(floats.Offset(4*place), scale)
		b.VMULPS(unit, scale, scale)
		b.VCVTDQ2PS(mem(totals, b.bytes()*i), total)
		b.VFMADD213PS(mem(y, b.bytes()*row), scale, total)
		b.VMOVUPS(total, mem(y, b.bytes()*row))
	}
	b.gen.end()
}
