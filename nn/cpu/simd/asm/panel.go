package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const panelSignature = "(dst *float32, dstStep int, src *float32, srcStep, rows, cols int)"

// gather copies rows of at most one register.
func gather(g *gen) {
	g.function("gather", panelSignature, "sets dst[c·dstStep+r] = src[c·srcStep+r] for r < rows.")
	dst, dstStep := g.arg("dst"), g.arg("dstStep")
	src, srcStep := g.arg("src"), g.arg("srcStep")
	cols := g.arg("cols")
	g.SHLQ(operand.U8(2), dstStep)
	g.SHLQ(operand.U8(2), srcStep)
	rows := g.arg("rows")
	mask := g.tailOf(rows)
	line := g.vec()
	// The processor does not prefetch lines that lie far apart.
	ahead := g.GP64()
	g.MOVQ(srcStep, ahead)
	g.SHLQ(operand.U8(4), ahead)

	g.Label("columns")
	g.PREFETCHT0(indexed(src, ahead, 1, 0))
	g.load(mem(src, 0), line, mask)
	storeFirst(g, line, dst, rows, mask)
	g.ADDQ(srcStep, src)
	g.ADDQ(dstStep, dst)
	g.DECQ(cols)
	g.JNZ(operand.LabelRef("columns"))
	g.end()
}

// storeFirst writes the first rows lanes. AVX2's masked store takes dozens of
// cycles on some processors, so the common counts have stores of their own.
func storeFirst(g *gen, v reg.VecVirtual, dst reg.Register, rows reg.GPVirtual, mask *tail) {
	if g.avx512 {
		g.store(v, mem(dst, 0), mask)
		return
	}
	six, masked, done := g.label("six"), g.label("masked"), g.label("stored")
	g.CMPQ(rows, operand.U8(8))
	g.JNE(operand.LabelRef(six))
	g.store(v, mem(dst, 0), nil)
	g.JMP(operand.LabelRef(done))
	g.Label(six)
	g.CMPQ(rows, operand.U8(6))
	g.JNE(operand.LabelRef(masked))
	lower, upper := g.halves(v)
	g.VMOVUPS(lower, mem(dst, 0))
	g.VMOVLPS(upper, mem(dst, 16))
	g.JMP(operand.LabelRef(done))
	g.Label(masked)
	g.store(v, mem(dst, 0), mask)
	g.Label(done)
}

// transpose works on squares of lanes by lanes elements. Rows that do not exist
// are read as the last one.
func transpose(g *gen) {
	g.function("transpose", panelSignature, "sets dst[c·dstStep+r] = src[r·srcStep+c] for r < rows.")
	offsets := rowOffsets(g)
	dst, dstStep, src, cols := g.arg("dst"), g.arg("dstStep"), g.arg("src"), g.arg("cols")
	g.SHLQ(operand.U8(2), dstStep)
	rows := g.arg("rows")

	g.Label("square")
	g.CMPQ(cols, operand.U8(g.lanes()))
	g.JL(operand.LabelRef("rest"))
	square(g, src, offsets, nil, func(int) {}, dst, dstStep, rows)
	g.ADDQ(operand.U32(g.bytes()), src)
	g.SUBQ(operand.U8(g.lanes()), cols)
	g.JMP(operand.LabelRef("square"))

	g.Label("rest")
	g.TESTQ(cols, cols)
	g.JZ(operand.LabelRef("done"))
	square(g, src, offsets, g.tailOf(cols), func(column int) {
		g.CMPQ(cols, operand.U8(column))
		g.JE(operand.LabelRef("done"))
	}, dst, dstStep, rows)
	g.Label("done")
	g.end()
}

// rowOffsets are the byte distances of a square's rows from its first one.
func rowOffsets(g *gen) operand.Mem {
	offsets := g.AllocLocal(8 * g.lanes())
	rows, srcStep := g.arg("rows"), g.arg("srcStep")
	g.SHLQ(operand.U8(2), srcStep)
	offset, next := g.GP64(), g.GP64()
	g.XORQ(offset, offset)
	for r := range g.lanes() {
		g.MOVQ(offset, offsets.Offset(8*r))
		g.LEAQ(indexed(offset, srcStep, 1, 0), next)
		g.CMPQ(rows, operand.U8(r+1))
		g.CMOVQGT(next, offset)
	}
	return offsets
}

// square transposes one square and moves dst on; before is called ahead of each
// column's store.
func square(g *gen, src reg.Register, offsets operand.Mem, t *tail, before func(column int), dst, dstStep reg.Register, rows reg.GPVirtual) {
	n := g.lanes()
	lines := g.vecs(n)
	offset := g.GP64()
	for r := range lines {
		g.MOVQ(offsets.Offset(8*r), offset)
		g.load(indexed(src, offset, 1, 0), lines[r], t)
	}
	columns := transposed(g, lines)
	mask := g.tailOf(rows)
	for c := range columns {
		before(c)
		storeFirst(g, columns[c], dst, rows, mask)
		g.ADDQ(dstStep, dst)
	}
}

// transposed turns lines into columns: pairs of elements, then quadruples inside
// the 128-bit quarters, then the quarters themselves.
func transposed(g *gen, lines []reg.VecVirtual) []reg.VecVirtual {
	n := len(lines)
	pairs := make([]reg.VecVirtual, n)
	for r := 0; r < n; r += 2 {
		pairs[r], pairs[r+1] = g.vec(), lines[r+1]
		g.VUNPCKLPS(lines[r+1], lines[r], pairs[r])
		g.VUNPCKHPS(lines[r+1], lines[r], pairs[r+1])
	}
	// quads[4i+j] has, in quarter q, the elements 4q+j of lines 4i to 4i+3.
	quads := make([]reg.VecVirtual, n)
	for r := 0; r < n; r += 4 {
		for j := range 2 {
			lower, upper := pairs[r+j], pairs[r+j+2]
			quads[r+2*j], quads[r+2*j+1] = g.vec(), upper
			g.VUNPCKLPD(upper, lower, quads[r+2*j])
			g.VUNPCKHPD(upper, lower, quads[r+2*j+1])
		}
	}
	columns := make([]reg.VecVirtual, n)
	for j := range 4 {
		if !g.avx512 {
			columns[j], columns[j+4] = g.vec(), quads[j+4]
			g.VPERM2F128(operand.U8(0x20), quads[j+4], quads[j], columns[j])
			g.VPERM2F128(operand.U8(0x31), quads[j+4], quads[j], columns[j+4])
			continue
		}
		// Quarters 0 and 2, or 1 and 3, of two lines of quads, then of all four.
		even01, odd01, even23, odd23 := g.vec(), quads[4+j], g.vec(), quads[12+j]
		g.VSHUFF32X4(operand.U8(0x88), quads[4+j], quads[j], even01)
		g.VSHUFF32X4(operand.U8(0xdd), quads[4+j], quads[j], odd01)
		g.VSHUFF32X4(operand.U8(0x88), quads[12+j], quads[8+j], even23)
		g.VSHUFF32X4(operand.U8(0xdd), quads[12+j], quads[8+j], odd23)
		columns[j], columns[8+j] = g.vec(), even23
		g.VSHUFF32X4(operand.U8(0x88), even23, even01, columns[j])
		g.VSHUFF32X4(operand.U8(0xdd), even23, even01, columns[8+j])
		columns[4+j], columns[12+j] = g.vec(), odd23
		g.VSHUFF32X4(operand.U8(0x88), odd23, odd01, columns[4+j])
		g.VSHUFF32X4(operand.U8(0xdd), odd23, odd01, columns[12+j])
	}
	return columns
}
