package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	dotRows   = 16 // of a line: one for each 32 bits of a register
	dotLine   = 64 // bytes of codes of 16 rows and 16 columns
	dotPlane  = 16 // bytes of a plane of 16 elements
	sumBytes  = 8  // of a dotSum
	halfBytes = 2 * dotRows
)

// dotKernels emits products by VPDPBUSD, which adds to each 32 bits of a register the products of four bytes. It needs VNNI.
func dotKernels(g *gen) {
	if !g.wide {
		return
	}
	dotPlanes(g)
	dotBytes(g)
	for _, planes := range []int{3, 1} {
		for _, vectors := range []int{1, 2, 4, 8} {
			dotProducts(g, planes, vectors, 1)
		}
		dotProducts(g, planes, 1, 4)
	}
}

// vpdpbusd adds to dst the products of unsigned bytes with signed ones: those of src, or four of them in memory for all.
func (g *gen) vpdpbusd(signed operand.Op, unsigned, dst reg.VecVirtual) {
	i := &ir.Instruction{Opcode: "VPDPBUSD", Operands: []operand.Op{signed, unsigned, dst}, Inputs: []operand.Op{signed, unsigned, dst},
		Outputs: []operand.Op{dst}, ISA: []string{"AVX512VNNI"}}
	if operand.IsMem(signed) {
		i.Suffixes = []string{"BCST"}
	}
	g.Instruction(i)
}

// dotPlanes makes whole numbers of elements, and bytes of these.
func dotPlanes(g *gen) {
	g.function("dotPlanes", "(dst *int8, step int, x *float32, scale float32, lines int) int32", "is dotKernels.planes.")
	x, scale := g.arg("x"), g.broadcast("scale")
	half := g.vec()
	g.VMOVDQU32(g.words("dotHalf", func(int) uint32 { return 128 }), half)
	dotLines(g, func(q reg.VecVirtual) {
		g.VMULPS(mem(x, 0), scale, q)
		g.VCVTPS2DQ(q, q)
		g.ADDQ(operand.U8(4*dotRows), x)
	}, func(q reg.VecVirtual, dst reg.GPVirtual) {
		g.VPMOVDB(q, mem(dst, 0))
		for p := 1; p < 3; p++ { // a byte counts as negative from 128 on
			g.VPADDD(half, q, q)
			g.VPSRAD(operand.U8(8), q, q)
			g.VPMOVDB(q, mem(dst, p*dotPlane))
		}
	})
}

// dotBytes puts bytes in order.
func dotBytes(g *gen) {
	g.function("dotBytes", "(dst, q *int8, step, lines int) int32", "is dotKernels.bytes.")
	from := g.arg("q")
	dotLines(g, func(q reg.VecVirtual) {
		g.VPMOVSXBD(mem(from, 0), q)
		g.ADDQ(operand.U8(dotPlane), from)
	}, func(q reg.VecVirtual, dst reg.GPVirtual) { g.VPMOVDB(q, mem(dst, 0)) })
}

// dotLines writes lines of 16 whole numbers, step bytes apart, in the order of codes: those that the first two bits of four
// bytes multiply, then those of the next two. It returns their sum.
func dotLines(g *gen, read func(q reg.VecVirtual), write func(q reg.VecVirtual, dst reg.GPVirtual)) {
	dst, step, lines := g.arg("dst"), g.arg("step"), g.arg("lines")
	order, sum, q, ordered := g.vec(), g.vec(), g.vec(), g.vec()
	g.VMOVDQU32(g.words("dotOrder", func(i int) uint32 { return uint32(i%4*4 + i/4) }), order)
	g.VPXORD(sum, sum, sum)
	g.Label("lines")
	read(q)
	g.VPADDD(q, sum, sum)
	g.VPERMD(q, order, ordered)
	write(ordered, dst)
	g.ADDQ(step, dst)
	g.DECQ(lines)
	g.JNZ(operand.LabelRef("lines"))
	lower, upper := g.halves(sum)
	g.VPADDD(upper, lower, lower)
	all, other := lower.AsX(), g.XMM()
	g.VEXTRACTI128(operand.U8(1), lower, other)
	g.VPADDD(other, all, all)
	for _, swap := range []uint8{0b01_00_11_10, 0b10_11_00_01} {
		g.VPSHUFD(operand.U8(swap), all, other)
		g.VPADDD(other, all, all)
	}
	total := g.GP32()
	g.VMOVD(all, total)
	g.Store(total, g.ReturnIndex(0))
	g.end()
}

// steps are addresses that lie step bytes apart, fewer than nine.
func (g *gen) steps(base, step reg.GPVirtual, n int) []operand.Mem {
	at := []operand.Mem{mem(base, 0), {Base: base, Index: step, Scale: 1}, {Base: base, Index: step, Scale: 2}, {}, {Base: base, Index: step, Scale: 4}, {}, {}, {}}
	for i := 3; i < n; i++ {
		switch i {
		case 3, 5, 7:
			odd := g.GP64()
			g.LEAQ(indexed(step, step, 2, 0), odd)
			if i > 3 {
				g.LEAQ(indexed(odd, step, uint8(i-3), 0), odd)
			}
			at[i] = indexed(base, odd, 1, 0)
		case 6:
			at[i] = operand.Mem{Base: base, Index: at[3].Index, Scale: 2}
		}
	}
	return at[:n]
}

// dotProducts multiplies blocks of 16 rows with vectors, a line of 16 columns at a time.
func dotProducts(g *gen, planes, vectors, blocks int) {
	g.function(fmt.Sprintf("dots%dx%dx%d", planes, vectors, blocks),
		"(y *float32, yStep int, codes *byte, codesStep int, x *int8, sums, scales *byte, scalesStep, chunks, lines int)", "is a dotProduct.")
	y, codes, x, sums, scales, chunks, lines := g.arg("y"), g.arg("codes"), g.arg("x"), g.arg("sums"), g.arg("scales"), g.arg("chunks"), g.GP64()
	ys, lineAt, scaleAt := []operand.Mem{mem(y, 0)}, []operand.Mem{mem(codes, 0)}, []operand.Mem{mem(scales, 0)}
	if vectors > 1 {
		ys = g.steps(y, g.arg("yStep"), vectors)
	}
	if blocks > 1 {
		lineAt, scaleAt = g.steps(codes, g.arg("codesStep"), blocks), g.steps(scales, g.arg("scalesStep"), blocks)
	}
	mask := g.vec()
	g.VMOVDQU32(g.words("dotCode", func(int) uint32 { return 0x03030303 }), mask)

	g.Label("chunks")
	g.MOVQ(g.address("lines"), lines)
	all := make([][][]reg.VecVirtual, blocks) // sums of a block, a vector and a plane
	for b := range all {
		all[b] = make([][]reg.VecVirtual, vectors)
		for v := range all[b] {
			all[b][v] = g.vecs(planes)
			for _, sum := range all[b][v] {
				g.VPXORD(sum, sum, sum)
			}
		}
	}
	g.Label("lines")
	line := g.vecs(blocks)
	for b := range line {
		g.VMOVDQU32(lineAt[b], line[b])
		g.PREFETCHT0(lineAt[b].Offset(ahead))
	}
	for s := range 4 {
		code := g.vecs(blocks)
		for b := range code {
			if s == 0 {
				g.VPANDD(mask, line[b], code[b])
				continue
			}
			g.VPSRLW(operand.U8(2*s), line[b], code[b])
			g.VPANDD(mask, code[b], code[b])
		}
		for v := range vectors {
			for p := range planes {
				four := mem(x, (v*planes+p)*dotPlane+4*s)
				if blocks == 1 {
					g.vpdpbusd(four, code[0], all[0][v][p])
					continue
				}
				shared := g.vec()
				g.VPBROADCASTD(four, shared)
				for b := range blocks {
					g.vpdpbusd(shared, code[b], all[b][v][p])
				}
			}
		}
	}
	g.ADDQ(operand.I32(dotLine), codes)
	g.ADDQ(operand.I32(vectors*planes*dotPlane), x)
	g.DECQ(lines)
	g.JNZ(operand.LabelRef("lines"))

	for b := range blocks {
		scale, factor := g.vec(), g.vec()
		g.VCVTPH2PS(scaleAt[b], scale)
		for v := range vectors {
			sum := all[b][v][planes-1]
			for p := planes - 2; p >= 0; p-- {
				g.VPSLLD(operand.U8(8), sum, sum)
				g.VPADDD(all[b][v][p], sum, sum)
			}
			g.VPSUBD_BCST(mem(sums, v*sumBytes), sum, sum)
			g.VCVTDQ2PS(sum, sum)
			g.VMULPS_BCST(mem(sums, v*sumBytes+4), scale, factor)
			at := ys[v].Offset(b * 4 * dotRows)
			g.VFMADD213PS(at, factor, sum)
			g.VMOVUPS(sum, at)
		}
	}
	g.ADDQ(operand.U8(halfBytes), scales)
	g.ADDQ(operand.U8(vectors*sumBytes), sums)
	g.DECQ(chunks)
	g.JNZ(operand.LabelRef("chunks"))
	g.end()
}
