package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantsKernels emits products of a row of package quants' numbers with a vector of floats. They are for AVX2: at 512 bits a
// processor would wait for the same memory.
func quantsKernels(g *gen) {
	if g.avx512 {
		return
	}
	for _, bits := range []int{8, 4, 6} {
		quantsDot(g, bits, 1)
		quantsDot(g, bits, 4)
	}
}

// quantsDot takes a unit of 32 numbers at a time: two halves of 16, each with a scale of its own. Each vector's product is summed in
// the same order whether it is alone.
func quantsDot(g *gen, bits, vectors int) {
	g.function(fmt.Sprintf("quantsDot%dx%d", bits, vectors),
		"(y *float32, yStep int, low, high *byte, scales []float32, x *float32, xStep int)", "is one of kernels.quants.")
	low, high, scales, units := g.arg("low"), g.arg("high"), g.ptr("scales"), g.length("scales")
	g.SHRQ(operand.U8(1), units)
	x := newStrided(g, g.arg("x"), g.arg("xStep"), vectors)
	sums := make([][]reg.VecVirtual, vectors)
	for v := range sums {
		sums[v] = g.vecs(2)
		for _, s := range sums[v] {
			g.zero(s)
		}
	}
	loop := g.label("units")
	g.Label(loop)
	g.PREFETCHT0(mem(low, ahead))
	for half, bytes := range quantsUnit(g, bits, low, high) {
		numbers := g.vecs(2)
		for part, v := range numbers {
			g.VPMOVSXBD(bytes[part], v)
			g.VCVTDQ2PS(v, v)
		}
		scale := g.YMM()
		g.VBROADCASTSS(mem(scales, 4*half), scale)
		for v := range vectors {
			at, product := x.at(v).Offset(64*half), g.YMM()
			g.VMULPS(at, numbers[0], product)
			g.VFMADD231PS(at.Offset(32), numbers[1], product)
			g.VFMADD231PS(product, scale, sums[v][half])
		}
	}
	if bits == 8 {
		g.ADDQ(operand.U8(32), low)
	} else {
		g.ADDQ(operand.U8(16), low)
	}
	if bits == 6 {
		g.ADDQ(operand.U8(8), high)
	}
	g.ADDQ(operand.U8(8), scales)
	g.SUBQ(operand.I8(-128), x.bases[0])
	g.DECQ(units)
	g.JNZ(operand.LabelRef(loop))
	y, step := g.arg("y"), g.arg("yStep")
	for _, s := range sums {
		g.VADDPS(s[1], s[0], s[0])
		g.VMOVSS(g.horizontal(s[:1]), mem(y, 0))
		g.LEAQ(indexed(y, step, 4, 0), y)
	}
	g.end()
}

// quantsUnit yields the numbers of a unit minus their centre, eight at a time, as signed bytes.
func quantsUnit(g *gen, bits int, low, high reg.GPVirtual) (numbers [2][2]operand.Op) {
	if bits == 8 {
		for i := range 4 {
			numbers[i/2][i%2] = mem(low, 8*i)
		}
		return numbers
	}
	all := func(name string, b uint32) operand.Mem {
		return g.words(name, func(int) uint32 { return b * 0x01010101 })
	}
	nibbles, pairs, centre := all("quantsNibbles", 15), all("quantsPairs", 3<<4), all(fmt.Sprintf("quantsCentre%d", bits), 1<<(bits-1))
	halves := [2]reg.VecVirtual{g.XMM(), g.XMM()}
	g.VMOVDQU(mem(low, 0), halves[0])
	g.VPSRLW(operand.U8(4), halves[0], halves[1])
	var upper reg.VecVirtual // bits 4 and 5 of the second half at their places, two more to the left than those of the first
	if bits == 6 {
		upper = g.XMM()
		shifted := g.XMM()
		g.VMOVQ(mem(high, 0), upper)
		g.VPSRLW(operand.U8(2), upper, shifted)
		g.VPUNPCKLQDQ(shifted, upper, upper)
	}
	for half, v := range halves {
		g.VPAND(nibbles, v, v)
		if bits == 6 {
			top := upper
			if half == 0 {
				top = g.XMM()
				g.VPSLLW(operand.U8(4), upper, top)
			}
			g.VPAND(pairs, top, top)
			g.VPOR(top, v, v)
		}
		g.VPSUBB(centre, v, v)
		rest := g.XMM()
		g.VPSRLDQ(operand.U8(8), v, rest)
		numbers[half] = [2]operand.Op{v, rest}
	}
	return numbers
}
