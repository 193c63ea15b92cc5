package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	dotRows   = 16 // of a line: one for each 32 bits of one register, or of two
	dotLine   = 64 // bytes of codes of 16 rows and 16 columns
	dotPlane  = 16 // bytes of a plane of 16 elements
	sumBytes  = 8  // of a dotSum
	halfBytes = 2 * dotRows
	pairLines = 8 // whose products fit into 16 bits: 4 pairs of 2 bytes of at most 2·128 in each
)

// dotKernels emits products by VPDPBUSD, which adds the products of four bytes to each 32 bits of a register, and needs VNNI; or, only
// for int8, by VPMADDUBSW of AVX2, which sums the products of pairs of bytes in 16 bits.
func dotKernels(g *gen) {
	if !g.avx512 {
		dotPairBytes(g)
		for _, vectors := range []int{1, 2, 4} {
			dotPairs(g, vectors, 1)
		}
		dotPairs(g, 1, 4)
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

// vpdpbusd adds the products of unsigned bytes with signed ones to dst. The signed ones are those of src, or four in memory that are
// used for all.
func (g *gen) vpdpbusd(signed operand.Op, unsigned, dst reg.VecVirtual) {
	i := &ir.Instruction{Opcode: "VPDPBUSD", Operands: []operand.Op{signed, unsigned, dst}, Inputs: []operand.Op{signed, unsigned, dst},
		Outputs: []operand.Op{dst}, ISA: []string{"AVX512VNNI"}}
	if operand.IsMem(signed) {
		i.Suffixes = []string{"BCST"}
	}
	g.Instruction(i)
}

// dotPlanes turns elements into whole numbers, and these into bytes.
func dotPlanes(g *gen) {
	g.function("dotPlanes", "(dst *int8, step int, x *float32, scale float32, lines int) int32", "is dotKernels.planes.")
	planes := newDotPlanes(g)
	dotLines(g, 1, "lines", planes.read, func(q reg.VecVirtual, dst reg.GPVirtual, _ int) {
		planes.write(q, []operand.Mem{mem(dst, 0), mem(dst, dotPlane), mem(dst, 2*dotPlane)})
	})
}

// planesOfFloats turns elements into whole numbers, and these into digits.
type planesOfFloats struct {
	*gen
	x           reg.GPVirtual
	scale, half reg.VecVirtual
}

// newDotPlanes begins with the elements of the argument x, times scale.
func newDotPlanes(g *gen) *planesOfFloats {
	p := &planesOfFloats{gen: g, x: g.arg("x"), scale: g.broadcast("scale"), half: g.vec()}
	g.VMOVDQU32(g.words("dotHalf", func(int) uint32 { return 128 }), p.half)
	return p
}

// read makes q whole numbers of the next elements.
func (p *planesOfFloats) read(q reg.VecVirtual) {
	p.VMULPS(mem(p.x, 0), p.scale, q)
	p.VCVTPS2DQ(q, q)
	p.ADDQ(operand.U8(4*dotRows), p.x)
}

// write writes the digits of q, the lowest first.
func (p *planesOfFloats) write(q reg.VecVirtual, at []operand.Mem) {
	for i, plane := range at {
		if i > 0 { // a byte counts as negative from 128 on
			p.VPADDD(p.half, q, q)
			p.VPSRAD(operand.U8(8), q, q)
		}
		p.VPMOVDB(q, plane)
	}
}

// dotBytes puts bytes in order.
func dotBytes(g *gen) {
	g.function("dotBytes", "(dst, q *int8, step, lines int) int32", "is dotKernels.bytes.")
	from := g.arg("q")
	dotLines(g, 1, "lines", func(q reg.VecVirtual) {
		g.VPMOVSXBD(mem(from, 0), q)
		g.ADDQ(operand.U8(dotPlane), from)
	}, func(q reg.VecVirtual, dst reg.GPVirtual, _ int) { g.VPMOVDB(q, mem(dst, 0)) })
}

// dotLines writes lines of 16 whole numbers in the order of codes: those that the first two bits of four bytes multiply, then
// those of the next two. Some at a time have one place dst, step bytes behind the one before; the argument count is how often.
// It returns their sum.
func dotLines(g *gen, some int, count string, read func(q reg.VecVirtual), write func(q reg.VecVirtual, dst reg.GPVirtual, line int)) {
	dst, step, lines := g.arg("dst"), g.arg("step"), g.arg(count)
	order, sum, q, ordered := g.vec(), g.vec(), g.vec(), g.vec()
	g.VMOVDQU32(g.words("dotOrder", func(i int) uint32 { return uint32(i%4*4 + i/4) }), order)
	g.VPXORD(sum, sum, sum)
	g.Label("lines")
	for line := range some {
		read(q)
		g.VPADDD(q, sum, sum)
		g.VPERMD(q, order, ordered)
		write(ordered, dst, line)
	}
	g.ADDQ(step, dst)
	g.DECQ(lines)
	g.JNZ(operand.LabelRef("lines"))
	lower, upper := g.halves(sum)
	g.VPADDD(upper, lower, lower)
	all, other := lower.AsX(), g.XMM()
	g.VEXTRACTI128(operand.U8(1), lower, other)
	g.VPADDD(other, all, all)
	g.returnSum(all)
	g.end()
}

// returnSum returns the sum of four whole numbers.
func (g *gen) returnSum(all reg.Register) {
	other := g.XMM()
	for _, swap := range []uint8{0b01_00_11_10, 0b10_11_00_01} {
		g.VPSHUFD(operand.U8(swap), all, other)
		g.VPADDD(other, all, all)
	}
	total := g.GP32()
	g.VMOVD(all, total)
	g.Store(total, g.ReturnIndex(0))
}

// steps returns fewer than nine addresses that are step bytes apart.
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

// dotOperands address what a dotProduct is given.
type dotOperands struct {
	planes, vectors                     int
	codes, x, sums, firstScales, chunks reg.GPVirtual
	left                                reg.GPVirtual // to count the lines of a chunk with
	ys                                  []operand.Mem // of the vectors
	lines, scales                       []operand.Mem // of the blocks
}

// newDotOperands begins a dotProduct.
func newDotOperands(g *gen, name string, planes, vectors, blocks int) *dotOperands {
	g.function(fmt.Sprintf("%s%dx%dx%d", name, planes, vectors, blocks),
		"(y *float32, yStep int, codes *byte, codesStep int, x *int8, sums, scales *byte, scalesStep, chunks, lines int)", "is a dotProduct.")
	y := g.arg("y")
	o := &dotOperands{planes: planes, vectors: vectors, codes: g.arg("codes"), x: g.arg("x"), sums: g.arg("sums"), firstScales: g.arg("scales"), chunks: g.arg("chunks"), left: g.GP64()}
	o.ys, o.lines, o.scales = []operand.Mem{mem(y, 0)}, []operand.Mem{mem(o.codes, 0)}, []operand.Mem{mem(o.firstScales, 0)}
	if vectors > 1 {
		o.ys = g.steps(y, g.arg("yStep"), vectors)
	}
	if blocks > 1 {
		o.lines, o.scales = g.steps(o.codes, g.arg("codesStep"), blocks), g.steps(o.firstScales, g.arg("scalesStep"), blocks)
	}
	return o
}

func (o *dotOperands) nextLine(g *gen) {
	g.ADDQ(operand.I32(dotLine), o.codes)
	g.ADDQ(operand.I32(o.vectors*o.planes*dotPlane), o.x)
}

// nextChunk ends the loop over chunks, and the dotProduct.
func (o *dotOperands) nextChunk(g *gen) {
	g.ADDQ(operand.U8(halfBytes), o.firstScales)
	g.ADDQ(operand.U8(o.vectors*sumBytes), o.sums)
	g.DECQ(o.chunks)
	g.JNZ(operand.LabelRef("chunks"))
	g.end()
}

// dotProducts multiplies blocks of 16 rows with vectors, a line of 16 columns at a time.
func dotProducts(g *gen, planes, vectors, blocks int) {
	o := newDotOperands(g, "dots", planes, vectors, blocks)
	mask := g.vec()
	g.VMOVDQU32(g.words("dotCode", func(int) uint32 { return 0x03030303 }), mask)

	g.Label("chunks")
	g.MOVQ(g.address("lines"), o.left)
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
		g.VMOVDQU32(o.lines[b], line[b])
		g.PREFETCHT0(o.lines[b].Offset(ahead))
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
				four := mem(o.x, (v*planes+p)*dotPlane+4*s)
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
	o.nextLine(g)
	g.DECQ(o.left)
	g.JNZ(operand.LabelRef("lines"))

	for b := range blocks {
		scale := g.vec()
		g.VCVTPH2PS(o.scales[b], scale)
		for v := range vectors {
			sum := all[b][v][planes-1]
			for p := planes - 2; p >= 0; p-- {
				g.VPSLLD(operand.U8(8), sum, sum)
				g.VPADDD(all[b][v][p], sum, sum)
			}
			dotResult(g, sum, scale, mem(o.sums, v*sumBytes), o.ys[v].Offset(b*4*dotRows))
		}
	}
	o.nextChunk(g)
}

// dotResult adds the values of a chunk's sums, whose dotSum is at chunk, to 16 elements at y.
func dotResult(g *gen, sum, scale reg.VecVirtual, chunk, y operand.Mem) {
	factor := g.vec()
	g.VPSUBD_BCST(chunk, sum, sum)
	g.VCVTDQ2PS(sum, sum)
	g.VMULPS_BCST(chunk.Offset(4), scale, factor)
	g.VFMADD213PS(y, factor, sum)
	g.VMOVUPS(sum, y)
}

// dotPairBytes is dotBytes with AVX2.
func dotPairBytes(g *gen) {
	g.function("dotBytes", "(dst, q *int8, step, lines int) int32", "is dotKernels.bytes.")
	dst, step, lines, from := g.arg("dst"), g.arg("step"), g.arg("lines"), g.arg("q")
	order, ones, words, sum, q, pairs := g.XMM(), g.XMM(), g.XMM(), g.XMM(), g.XMM(), g.XMM()
	g.VMOVDQU(g.words("dotOrderBytes", func(i int) uint32 { return 0x0c080400 + uint32(i%4)*0x01010101 }), order)
	g.VMOVDQU(g.words("dotOneBytes", func(int) uint32 { return 0x01010101 }), ones)
	g.VMOVDQU(g.words("dotOneWords", func(int) uint32 { return 0x00010001 }), words)
	g.VPXOR(sum, sum, sum)
	g.Label("lines")
	g.VMOVDQU(mem(from, 0), q)
	g.VPMADDUBSW(q, ones, pairs)
	g.VPMADDWD(words, pairs, pairs)
	g.VPADDD(pairs, sum, sum)
	g.VPSHUFB(order, q, q)
	g.VMOVDQU(q, mem(dst, 0))
	g.ADDQ(operand.U8(dotPlane), from)
	g.ADDQ(step, dst)
	g.DECQ(lines)
	g.JNZ(operand.LabelRef("lines"))
	g.returnSum(sum)
	g.end()
}

// dotPairs is dotProducts of one plane with AVX2: a block has two registers of 8 rows, and sums of 16 bits are added to those of
// 32, in the frame, before they can run over.
func dotPairs(g *gen, vectors, blocks int) {
	const parts = 2 // of a block, in registers
	o := newDotOperands(g, "dots", 1, vectors, blocks)
	frame := g.AllocLocal(blocks * parts * vectors * g.bytes())
	total := func(b, h, v int) operand.Mem { return frame.Offset(((b*parts+h)*vectors + v) * g.bytes()) }
	count := g.GP64()
	mask := g.vec()
	g.VMOVDQU(g.words("dotCode", func(int) uint32 { return 0x03030303 }), mask)

	g.Label("chunks")
	g.MOVQ(g.address("lines"), o.left)
	none := g.vec()
	g.VPXOR(none, none, none)
	for i := range blocks * parts * vectors {
		g.VMOVDQU(none, frame.Offset(i*g.bytes()))
	}
	g.Label("parts")
	g.MOVQ(operand.U32(pairLines), count)
	g.CMPQ(o.left, count)
	g.CMOVQLT(o.left, count)
	g.SUBQ(count, o.left)
	all := make([][]reg.VecVirtual, blocks*parts) // sums of a register of rows and a vector
	for r := range all {
		all[r] = g.vecs(vectors)
		for _, sum := range all[r] {
			g.VPXOR(sum, sum, sum)
		}
	}
	g.Label("lines")
	for b := range blocks {
		g.PREFETCHT0(o.lines[b].Offset(ahead))
	}
	for s := range 4 {
		shared := g.vecs(vectors)
		for v := range vectors {
			g.VPBROADCASTD(mem(o.x, v*dotPlane+4*s), shared[v])
		}
		for r := range all {
			code := g.vec()
			at := o.lines[r/parts].Offset(r % parts * g.bytes())
			if s == 0 {
				g.VPAND(at, mask, code)
			} else {
				g.VMOVDQU(at, code)
				g.VPSRLW(operand.U8(2*s), code, code)
				g.VPAND(mask, code, code)
			}
			for v := range vectors {
				pairs := g.vec()
				g.VPMADDUBSW(shared[v], code, pairs)
				g.VPADDW(pairs, all[r][v], all[r][v])
			}
		}
	}
	o.nextLine(g)
	g.DECQ(count)
	g.JNZ(operand.LabelRef("lines"))
	words := g.words("dotOneWords", func(int) uint32 { return 0x00010001 })
	for r := range all {
		for v, sum := range all[r] {
			at := total(r/parts, r%parts, v)
			g.VPMADDWD(words, sum, sum)
			g.VPADDD(at, sum, sum)
			g.VMOVDQU(sum, at)
		}
	}
	g.TESTQ(o.left, o.left)
	g.JNZ(operand.LabelRef("parts"))

	for v := range vectors {
		tooMuch, unit := g.vec(), g.vec()
		g.VPBROADCASTD(mem(o.sums, v*sumBytes), tooMuch)
		g.VBROADCASTSS(mem(o.sums, v*sumBytes+4), unit)
		for r := range all {
			sum, factor := g.vec(), g.vec()
			g.VCVTPH2PS(o.scales[r/parts].Offset(r%parts*g.bytes()/2), factor)
			g.VMULPS(unit, factor, factor)
			g.VMOVDQU(total(r/parts, r%parts, v), sum)
			g.VPSUBD(tooMuch, sum, sum)
			g.VCVTDQ2PS(sum, sum)
			at := o.ys[v].Offset(r * g.bytes())
			g.VFMADD213PS(at, factor, sum)
			g.VMOVUPS(sum, at)
		}
	}
	o.nextChunk(g)
}
