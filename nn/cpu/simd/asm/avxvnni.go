package main

import (
	"slices"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avxVNNI is the instruction set that has VPDPBUSD for the registers of AVX2, without AVX-512.
const avxVNNI = "AVXVNNI"

// avxVNNIKernels emits dotKernels for processors with AVX-VNNI and without AVX-512.
func avxVNNIKernels(g *gen) {
	if g.avx512 {
		return
	}
	avxVNNIPlanes(g)
	for _, vectors := range []int{1, 2} {
		avxVNNIProducts(g, 3, vectors, 1)
	}
	for _, vectors := range []int{1, 2, 4} {
		avxVNNIProducts(g, 1, vectors, 1)
	}
	avxVNNIProducts(g, 1, 1, 4)
}

// avxVNNIPlanes turns elements into whole numbers, and these into bytes: element 4j+s of 16, in two registers, goes to byte 4s+j.
func avxVNNIPlanes(g *gen) {
	g.function("dotPlanes", "(dst *int8, step int, x *float32, scale float32, lines int) int32", "is dotKernels.planes.")
	dst, step, x, lines, scale := g.arg("dst"), g.arg("step"), g.arg("x"), g.arg("lines"), g.broadcast("scale")
	half, sum, q, order := g.vec(), g.vec(), g.vecs(2), g.vecs(2)
	g.VMOVDQU(g.words("dotHalf", func(int) uint32 { return 128 }), half)
	for r := range order {
		// Element s of half h of register r goes to byte 4s+2r+h of that half; other bytes are 0.
		table := g.words([]string{"dotBytesOf0", "dotBytesOf1"}[r], func(i int) uint32 {
			place := 8 * (2*r + i/4)
			return 0x80808080&^(0xff<<place) | uint32(4*(i%4))<<place
		})
		g.VMOVDQU(table, order[r])
	}
	g.VPXOR(sum, sum, sum)
	g.Label("lines")
	for r := range q {
		g.VMULPS(mem(x, r*g.bytes()), scale, q[r])
		g.VCVTPS2DQ(q[r], q[r])
		g.VPADDD(q[r], sum, sum)
	}
	for p := range 3 {
		if p > 0 { // a byte counts as negative from 128 on
			for r := range q {
				g.VPADDD(half, q[r], q[r])
				g.VPSRAD(operand.U8(8), q[r], q[r])
			}
		}
		bytes := g.vecs(2)
		for r := range q {
			g.VPSHUFB(order[r], q[r], bytes[r])
		}
		g.VPOR(bytes[1], bytes[0], bytes[0])
		upper := g.XMM()
		g.VEXTRACTI128(operand.U8(1), bytes[0], upper)
		g.VPOR(upper, bytes[0].AsX(), upper)
		g.VMOVDQU(upper, mem(dst, p*dotPlane))
	}
	g.ADDQ(operand.U8(4*dotRows), x)
	g.ADDQ(step, dst)
	g.DECQ(lines)
	g.JNZ(operand.LabelRef("lines"))
	other := g.XMM()
	g.VEXTRACTI128(operand.U8(1), sum, other)
	g.VPADDD(sum.AsX(), other, other)
	g.returnSum(other)
	g.end()
}

// avxVNNIProducts is dotProducts with two registers of 8 rows per block. If there are enough registers, the sums for every other pair
// of bits are kept separately, as 16 times themselves: this saves shifts, which use the same ports as VPDPBUSD.
func avxVNNIProducts(g *gen, planes, vectors, blocks int) {
	const parts = 2
	o := newDotOperands(g, "vnni", planes, vectors, blocks)
	masks := []operand.Mem{
		g.words("dotCode", func(int) uint32 { return 0x03030303 }),
		g.words("dotCode16", func(int) uint32 { return 0x30303030 }),
	}
	scales := 1 // that codes have
	if 2*blocks*parts*vectors*planes <= 12 {
		scales = 2
	}
	g.Label("chunks")
	g.MOVQ(g.address("lines"), o.left)
	sums := make([][][][]reg.VecVirtual, scales) // by scale, register of rows, vector and plane
	for i := range sums {
		sums[i] = make([][][]reg.VecVirtual, blocks*parts)
		for r := range sums[i] {
			sums[i][r] = make([][]reg.VecVirtual, vectors)
			for v := range sums[i][r] {
				sums[i][r][v] = g.vecs(planes)
				for _, sum := range sums[i][r][v] {
					g.VPXOR(sum, sum, sum)
				}
			}
		}
	}
	all := sums[0]
	g.Label("lines")
	for b := range blocks {
		g.PREFETCHT0(o.lines[b].Offset(ahead))
	}
	multiply := func(code reg.VecVirtual, s int, sums [][]reg.VecVirtual) {
		for v := range vectors {
			for p := range planes {
				shared := g.vec()
				g.VPBROADCASTD(mem(o.x, (v*planes+p)*dotPlane+4*s), shared)
				g.vexVPDPBUSD(shared, code, sums[v][p])
			}
		}
	}
	for r := range all {
		line, code := g.vec(), g.vec()
		g.VMOVDQU(o.lines[r/parts].Offset(r%parts*g.bytes()), line)
		for s := range 4 / scales {
			if s > 0 {
				g.VPSRLW(operand.U8(2), line, line)
			}
			for i := range scales {
				g.VPAND(masks[i], line, code)
				multiply(code, s+2*i, sums[i][r])
			}
		}
	}
	o.nextLine(g)
	g.DECQ(o.left)
	g.JNZ(operand.LabelRef("lines"))
	for r := range all {
		scale := g.vec()
		g.VCVTPH2PS(o.scales[r/parts].Offset(r%parts*g.bytes()/2), scale)
		for v := range vectors {
			for p := range planes {
				if scales > 1 {
					g.VPSRAD(operand.U8(4), sums[1][r][v][p], sums[1][r][v][p])
					g.VPADDD(sums[1][r][v][p], all[r][v][p], all[r][v][p])
				}
			}
			sum := all[r][v][planes-1]
			for p := planes - 2; p >= 0; p-- {
				g.VPSLLD(operand.U8(8), sum, sum)
				g.VPADDD(all[r][v][p], sum, sum)
			}
			other := g.vec()
			g.VPBROADCASTD(mem(o.sums, v*sumBytes), other)
			g.VPSUBD(other, sum, sum)
			g.VCVTDQ2PS(sum, sum)
			g.VBROADCASTSS(mem(o.sums, v*sumBytes+4), other)
			g.VMULPS(other, scale, other)
			at := o.ys[v].Offset(r * g.bytes())
			g.VFMADD213PS(at, other, sum)
			g.VMOVUPS(sum, at)
		}
	}
	o.nextChunk(g)
}

// vexVPDPBUSD adds to 8 numbers of dst the products of four unsigned bytes each with four signed ones.
func (g *gen) vexVPDPBUSD(signed, unsigned, dst reg.VecVirtual) {
	g.Instruction(&ir.Instruction{Opcode: "VPDPBUSD", Operands: []operand.Op{signed, unsigned, dst}, Inputs: []operand.Op{signed, unsigned, dst},
		Outputs: []operand.Op{dst}, ISA: []string{avxVNNI}})
}

// encodeAVXVNNI encodes instructions of AVX-VNNI as bytes, once they have registers: Go's assembler only has those of AVX-512.
func encodeAVXVNNI(file *ir.File) {
	for _, f := range file.Functions() {
		var nodes []ir.Node
		for _, node := range f.Nodes {
			i, ok := node.(*ir.Instruction)
			if !ok || !slices.Contains(i.ISA, avxVNNI) {
				nodes = append(nodes, node)
				continue
			}
			signed, unsigned, dst := registerIndex(i.Operands[0]), registerIndex(i.Operands[1]), registerIndex(i.Operands[2])
			// VEX.256.66.0F38.W0 50 /r (Intel's manual, volume 2); the bits of registers in VEX are inverted.
			bytes := []byte{0xc4, 0x42 | ^dst>>3<<7 | ^signed>>3&1<<5, 0x05 | ^unsigned&15<<3, 0x50, 0xc0 | dst&7<<3 | signed&7}
			for _, b := range bytes {
				nodes = append(nodes, &ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}})
			}
		}
		f.Nodes = nodes
	}
}

// registerIndex is the number of a register.
func registerIndex(op operand.Op) byte { return byte(op.(reg.Physical).PhysicalIndex()) }
