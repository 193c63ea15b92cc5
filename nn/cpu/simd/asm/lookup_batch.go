package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// batchKernels emits products that look up sums of four weights, for batchVectors vectors at once: a sum is a register of whole
// numbers in memory, an element for each vector.
func batchKernels(g *gen) {
	batchWhole(g)
	batchTables(g)
	batchProducts(g)
	batchEnd(g)
}

const (
	batchColumns = 32                      // for which there are tables at once
	batchLines   = batchColumns / 4        // of codes
	batchSums    = 3 * 3 * 3 * 3           // of four columns
	batchTable   = batchSums * 32          // bytes
	batchNumbers = lookupRows * batchLines // bytes
)

// batchWhole turns elements into whole numbers as lookupTables does.
func batchWhole(g *gen) {
	g.function("batchWhole", "(dst *int32, x *float32, scale float32, eights int)", "is batchKernels.whole.")
	dst, x, eights := g.arg("dst"), g.arg("x"), g.arg("eights")
	scale := g.broadcast("scale")
	most, least := lookupRange(g)
	g.Label("eights")
	q := g.wholeNumbers(mem(x, 0), scale, most, least)
	g.VMOVDQU(q, mem(dst, 0))
	g.ADDQ(operand.U8(32), x)
	g.ADDQ(operand.U8(32), dst)
	g.DECQ(eights)
	g.JNZ(operand.LabelRef("eights"))
	g.end()
}

// batchTables writes the sums of each four columns in the order of codes as digits: 0 is −1, 1 is 0 and 2 is 1, the first column's
// digit is the lowest.
func batchTables(g *gen) {
	g.function("batchTables", "(dst, whole *int32, fours int)", "is batchKernels.tables.")
	dst, whole, fours := g.arg("dst"), g.arg("whole"), g.arg("fours")
	g.Label("fours")
	// The nine sums of two columns.
	pairs := func(column int) []reg.VecVirtual {
		first, second := g.YMM(), g.YMM()
		g.VMOVDQU(mem(whole, 32*column), first)
		g.VMOVDQU(mem(whole, 32*column+32), second)
		sums := g.vecs(9)
		g.VPXOR(sums[4], sums[4], sums[4])
		g.VPSUBD(second, sums[4], sums[1])
		g.VMOVDQU(second, sums[7])
		for i := range 3 {
			g.VPSUBD(first, sums[3*i+1], sums[3*i])
			g.VPADDD(first, sums[3*i+1], sums[3*i+2])
		}
		return sums
	}
	upper := g.AllocLocal(9 * 32)
	for i, sum := range pairs(2) {
		g.VMOVDQU(sum, upper.Offset(32*i))
	}
	lower := pairs(0)
	for i := range 9 {
		high := g.YMM()
		g.VMOVDQU(upper.Offset(32*i), high)
		for j, low := range lower {
			sum := g.YMM()
			g.VPADDD(low, high, sum)
			g.VMOVDQU(sum, mem(dst, 32*(9*i+j)))
		}
	}
	g.ADDQ(operand.U32(4*32), whole)
	g.ADDQ(operand.U32(batchTable), dst)
	g.DECQ(fours)
	g.JNZ(operand.LabelRef("fours"))
	g.end()
}

// batchProducts turns codes into numbers of sums, those of a row side by side. It does so a block ahead, because these steps wait for
// each other.
func batchProducts(g *gen) {
	g.function("batchProducts", "(totals, before *int32, beforeStep int, codes *byte, codesStep int, tables *int32, room *byte, blocks int)",
		"is batchKernels.products.")
	totals, before, codes, tables, blocks := g.arg("totals"), g.arg("before"), g.arg("codes"), g.arg("tables"), g.arg("blocks")
	nibble, low, high := g.YMM(), g.YMM(), g.YMM()
	g.VMOVDQU(g.words("lookupNibble", nibbles), nibble)
	digits := func(name string, times uint32) operand.Mem {
		return g.words(name, func(lane int) (word uint32) {
			for i := range 4 {
				n := uint32(4*(lane%4) + i)
				word |= times * (min(n%4, 2) + 3*min(n/4, 2)) << (8 * i)
			}
			return word
		})
	}
	g.VMOVDQU(digits("batchLow", 1), low)
	g.VMOVDQU(digits("batchHigh", 9), high)
	now, next := g.arg("room"), g.GP64()
	g.LEAQ(mem(now, batchNumbers), next)
	number := func(room reg.Register) {
		// The processor does not foresee that the next columns of these rows follow when those of all rows have been read.
		for line := 0; line < batchLines; line += 2 {
			g.PREFETCHT1(mem(codes, lookupRows*(batchLines+line)))
		}
		lines := make([]reg.VecVirtual, batchLines)
		for i := range lines {
			l, h := g.YMM(), g.YMM()
			g.VMOVDQU(mem(codes, lookupRows*i), h)
			g.VPAND(nibble, h, l)
			g.VPSRLW(operand.U8(4), h, h)
			g.VPAND(nibble, h, h)
			g.VPSHUFB(l, low, l)
			g.VPSHUFB(h, high, h)
			g.VPADDB(l, h, h)
			lines[i] = h
		}
		for range 3 {
			lines = interleaved(g, lines)
		}
		for i, numbers := range lines {
			g.VMOVDQU(numbers, mem(room, 32*i))
		}
	}
	const rows = 8 // of a turn of the loop
	mask := g.GP64()
	g.MOVQ(operand.U32(0xff*32), mask)
	number(now)
	g.Label("blocks")
	g.CMPQ(blocks, operand.U8(1))
	g.JE(operand.LabelRef("products"))
	g.ADDQ(g.address("codesStep"), codes)
	number(next)
	g.Label("products")
	left, at := g.GP64(), g.GP64()
	g.MOVQ(operand.U32(lookupRows/rows), left)
	g.MOVQ(now, at)
	g.Label("rows")
	for row := range rows {
		total, eight := g.YMM(), g.GP64()
		g.VMOVDQU(mem(before, 32*row), total)
		g.MOVQ(mem(at, batchLines*row), eight)
		for line := range batchLines {
			offset := g.GP64() // 32 times a byte; the units that load have enough to do
			g.RORXQ(operand.U8((8*line-5)&63), eight, offset)
			g.ANDQ(mask, offset)
			g.VPADDD(indexed(tables, offset, 1, batchTable*line), total, total)
		}
		g.VMOVDQU(total, mem(totals, 32*row))
	}
	g.ADDQ(operand.U32(32*rows), before)
	g.ADDQ(operand.U32(32*rows), totals)
	g.ADDQ(operand.U8(batchLines*rows), at)
	g.DECQ(left)
	g.JNZ(operand.LabelRef("rows"))
	g.ADDQ(g.address("beforeStep"), before)
	g.XCHGQ(now, next)
	g.DECQ(blocks)
	g.JNZ(operand.LabelRef("blocks"))
	g.end()
}

// batchEnd turns totals into floats. They are those of the places 0, 1, 16, 17, 2, 3 … of a line of codes.
func batchEnd(g *gen) {
	g.function("batchEnd", "(y *float32, totals *int32, scales *byte, units *float32)", "is batchKernels.end.")
	y, totals, scales, units := g.arg("y"), g.arg("totals"), g.arg("scales"), g.arg("units")
	unit := g.YMM()
	g.VMOVUPS(mem(units, 0), unit)
	floats := g.AllocLocal(4 * lookupRows)
	lower, upper := g.YMM(), g.YMM()
	g.VMOVDQU(mem(scales, 0), lower)
	g.VMOVDQU(mem(scales, lookupRows), upper)
	for half, unpack := range []func(...operand.Op){g.VPUNPCKLBW, g.VPUNPCKHBW} {
		halves, wide := g.YMM(), g.YMM()
		unpack(upper, lower, halves)
		for part := range 2 {
			if part == 1 {
				g.VEXTRACTI128(operand.U8(1), halves, halves.AsX())
			}
			g.VCVTPH2PS(halves.AsX(), wide)
			g.VMOVUPS(wide, floats.Offset(4*(8*half+16*part)))
		}
	}
	for i := range lookupRows {
		place := i/4*2 + i%2 + i/2%2*16
		row := rowOfLane(place%16) + place/16*4
		scale, total := g.YMM(), g.YMM()
		g.VBROADCASTSS(floats.Offset(4*place), scale)
		g.VMULPS(unit, scale, scale)
		g.VCVTDQ2PS(mem(totals, 32*i), total)
		g.VFMADD213PS(mem(y, 32*row), scale, total)
		g.VMOVUPS(total, mem(y, 32*row))
	}
	g.end()
}
