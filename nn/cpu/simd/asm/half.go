package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// halfKernels emits the kernels for vectors in float16; sums and factors are float32.
func halfKernels(g *gen) {
	dotHalf(g)
	axpyHalf(g)
	widen(g)
	narrow(g)
	dequantize(g)
}

// dotHalf is the sum of vectorKernels' dot with y in float16.
func dotHalf(g *gen) {
	g.function("dotHalf", "(x []float32, y []uint16) float32", "is Σ x·y.")
	x, y := g.ptr("x"), g.ptr("y")
	n, index := g.length("x"), g.zeroIndex()
	sums := g.vecs(chains)
	for _, s := range sums {
		g.zero(s)
	}
	step := func(t *tail, chain int) {
		u, v := g.vec(), g.vec()
		at := chain * g.lanes()
		g.load(indexed(x, index, 4, 4*at), u, t)
		g.loadHalf(indexed(y, index, 2, 2*at), v, t, n)
		g.VFMADD231PS(v, u, sums[chain])
	}
	g.unrolled(n, index, func() {
		for chain := range chains {
			step(nil, chain)
		}
	})
	g.vectors(n, index, func(t *tail) { step(t, 0) })
	g.VADDPS(sums[1], sums[0], sums[0])
	g.VADDPS(sums[3], sums[2], sums[2])
	g.VADDPS(sums[2], sums[0], sums[0])
	g.VMOVSS(g.horizontal(sums[:1]), g.returned())
	g.end()
}

func axpyHalf(g *gen) {
	g.function("axpyHalf", "(alpha float32, x []uint16, y []float32)", "adds alpha·x to y.")
	x, y, alpha := g.ptr("x"), g.ptr("y"), g.broadcast("alpha")
	n, index := g.length("y"), g.zeroIndex()
	g.vectors(n, index, func(t *tail) {
		u, v := g.vec(), g.vec()
		g.loadHalf(indexed(x, index, 2, 0), u, t, n)
		g.load(indexed(y, index, 4, 0), v, t)
		g.VFMADD231PS(u, alpha, v)
		g.store(v, indexed(y, index, 4, 0), t)
	})
	g.end()
}

func widen(g *gen) {
	g.function("widen", "(dst []float32, src []uint16)", "sets dst = src.")
	dst, src := g.ptr("dst"), g.ptr("src")
	n, index := g.length("dst"), g.zeroIndex()
	g.vectors(n, index, func(t *tail) {
		v := g.vec()
		g.loadHalf(indexed(src, index, 2, 0), v, t, n)
		g.store(v, indexed(dst, index, 4, 0), t)
	})
	g.end()
}

func narrow(g *gen) {
	g.function("narrow", "(dst []uint16, src []float32)", "sets dst = src, rounded to the nearest, halves to even.")
	dst, src := g.ptr("dst"), g.ptr("src")
	n, index := g.length("src"), g.zeroIndex()
	g.vectors(n, index, func(t *tail) {
		v := g.vec()
		g.load(indexed(src, index, 4, 0), v, t)
		g.storeHalf(v, indexed(dst, index, 2, 0), t, n)
	})
	g.end()
}

// dequantize takes 16 numbers, which have one scale and one minimum, at a time.
func dequantize(g *gen) {
	g.function("dequantize", "(dst []float32, q []byte, scales, minima []float32, centre float32)", "is kernels.dequantize.")
	dst, q, scales, minima := g.ptr("dst"), g.ptr("q"), g.ptr("scales"), g.ptr("minima")
	n, centre := g.length("scales"), g.broadcast("centre")
	loop, done := g.label("groups"), g.label("done")
	g.TESTQ(n, n)
	g.JZ(operand.LabelRef(done))
	g.Label(loop)
	scale, minimum := g.vec(), g.vec()
	g.VBROADCASTSS(mem(scales, 0), scale)
	g.VBROADCASTSS(mem(minima, 0), minimum)
	for at := 0; at < block; at += g.lanes() {
		v := g.vec()
		g.VPMOVSXBD(mem(q, at), v)
		g.VCVTDQ2PS(v, v)
		g.VSUBPS(centre, v, v)
		g.VFMSUB213PS(minimum, scale, v)
		g.VMOVUPS(v, mem(dst, 4*at))
	}
	g.ADDQ(operand.U8(4), scales)
	g.ADDQ(operand.U8(4), minima)
	g.ADDQ(operand.U8(block), q)
	g.ADDQ(operand.U8(4*block), dst)
	g.DECQ(n)
	g.JNZ(operand.LabelRef(loop))
	g.Label(done)
	g.end()
}

// loadHalf reads a vector of float16. A tail t is that of n elements; lanes outside
// of it become 0 and are not touched in memory.
func (g *gen) loadHalf(src operand.Mem, dst reg.VecVirtual, t *tail, n reg.GPVirtual) {
	switch {
	case t == nil:
		g.VCVTPH2PS(src, dst)
	case g.avx512:
		raw := g.YMM()
		g.VMOVDQU16_Z(src, t.mask, raw)
		g.VCVTPH2PS(raw, dst)
	default:
		copied := format{bits: 16}.staged(g, src, &blockTail{n: n, copy: g.AllocLocal(32)})
		g.VCVTPH2PS(copied, dst)
	}
}

// storeHalf writes a vector as float16; see loadHalf.
func (g *gen) storeHalf(src reg.VecVirtual, dst operand.Mem, t *tail, n reg.GPVirtual) {
	const nearest = 0 // halves to even
	switch {
	case t == nil:
		g.VCVTPS2PH(operand.U8(nearest), src, dst)
	case g.avx512:
		raw := g.YMM()
		g.VCVTPS2PH(operand.U8(nearest), src, raw)
		g.VMOVDQU16(raw, t.mask, dst)
	default:
		room := g.AllocLocal(16)
		g.VCVTPS2PH(operand.U8(nearest), src, room)
		from, to, left, value := g.GP64(), g.GP64(), g.GP64(), g.GP64()
		loop := g.label("halves")
		g.LEAQ(room, from)
		g.LEAQ(dst, to)
		g.MOVQ(n, left)
		g.Label(loop)
		g.MOVW(mem(from, 0), value.As16())
		g.MOVW(value.As16(), mem(to, 0))
		g.ADDQ(operand.U8(2), from)
		g.ADDQ(operand.U8(2), to)
		g.DECQ(left)
		g.JNZ(operand.LabelRef(loop))
	}
}
