package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func ternaryKernels(g *gen) {
	ternaryDecode(g)
	ternaryQuantize(g)
	decodeBlocks(g)
}

func ternaryDecode(g *gen) {
	g.function("ternaryDecode", "(dst []float32, codes []byte, scale float32)", "sets dst to scale times the weights of codes.")
	g.loadTernaryTables()
	g.VMULPS(g.broadcast("scale"), g.ternary.weights, g.ternary.weights)
	dst, codes, n := g.ptr("dst"), g.ptr("codes"), g.length("dst")
	g.blocks(format{bits: 2}, n, func(t *blockTail) {
		weights := g.vecs(block / g.lanes())
		decodeTernary(g, mem(codes, 0), weights, t)
		for p, w := range weights {
			g.store(w, mem(dst, p*g.bytes()), t.part(p))
		}
	}, func() {
		g.ADDQ(operand.U8(block/4), codes)
		g.ADDQ(operand.U8(block*4), dst)
	})
	g.end()
}

// decodeBlocks decodes one block of each row.
func decodeBlocks(g *gen) {
	g.function("decodeBlocks", "(dst *float32, dstStep int, codes *byte, codesStep, rows int)",
		"sets dst[r·dstStep+i] to weight i < 16 of codes[r·codesStep:].")
	g.loadTernaryTables()
	dst, dstStep, codes, codesStep := g.arg("dst"), g.arg("dstStep"), g.arg("codes"), g.arg("codesStep")
	rows := g.arg("rows")
	g.Label("rows")
	weights := g.vecs(block / g.lanes())
	decodeTernary(g, mem(codes, 0), weights, nil)
	for p, w := range weights {
		g.store(w, mem(dst, p*g.bytes()), nil)
	}
	g.LEAQ(indexed(dst, dstStep, 4, 0), dst)
	g.ADDQ(codesStep, codes)
	g.DECQ(rows)
	g.JNZ(operand.LabelRef("rows"))
	g.end()
}

// ternaryQuantize compares weights with ±γ/2, which is as exact as to compare w/γ with ±½ (see ternary.Round) and much
// faster than a division. It collects the comparisons of a block as 16 bits each and spreads them over the odd and even
// bits of its codes: 2 is 10, 1 is 01, 0 is 00.
func ternaryQuantize(g *gen) {
	g.function("ternaryQuantize", "(codes []byte, w []float32, gamma float32)", "packs the rounded w/gamma.")
	codes, w, n := g.ptr("codes"), g.ptr("w"), g.length("w")
	half, minusHalf := g.broadcast("gamma"), g.vec()
	g.VMULPS(g.float("half", 0.5), half, half)
	g.VXORPS(g.words("sign", func(int) uint32 { return 1 << 31 }), half, minusHalf)
	even, odd := g.GP32(), g.GP32()
	g.MOVL(operand.U32(0x55555555), even)
	g.MOVL(operand.U32(0xaaaaaaaa), odd)
	g.blocks(format{bits: 32}, n, func(t *blockTail) {
		up, down := g.GP32(), g.GP32()
		for p := block/g.lanes() - 1; p >= 0; p-- {
			v := g.vec()
			g.load(mem(w, p*g.bytes()), v, t.part(p))
			const atLeast, atMost = 13, 2 // false for NaN
			first := p == block/g.lanes()-1
			g.compare(atLeast, half, v, up, first)
			g.compare(atMost, minusHalf, v, down, first)
		}
		g.ORL(up, down)
		g.NOTL(down) // neither
		g.PDEPL(odd, up, up)
		g.PDEPL(even, down, down)
		g.ORL(up, down)
		if t == nil {
			g.MOVL(down, mem(codes, 0))
			return
		}
		left, loop := g.GP64(), g.label("bytes")
		format{bits: 2}.bytesOf(g, t.n, left)
		g.Label(loop)
		g.MOVB(down.As8(), mem(codes, 0))
		g.SHRL(operand.U8(8), down)
		g.INCQ(codes)
		g.DECQ(left)
		g.JNZ(operand.LabelRef(loop))
	}, func() {
		g.ADDQ(operand.U8(block/4), codes)
		g.ADDQ(operand.U8(block*4), w)
	})
	g.end()
}

// compare puts the comparisons of v's lanes with bound's below the bits that are in dst, or into an empty dst.
func (g *gen) compare(predicate uint8, bound, v reg.VecVirtual, dst reg.GPVirtual, empty bool) {
	if g.avx512 {
		k := g.K()
		g.VCMPPS(operand.U8(predicate), bound, v, k)
		g.KMOVW(k, dst)
		return
	}
	result, bits := g.vec(), g.GP32()
	g.VCMPPS(operand.U8(predicate), bound, v, result)
	if empty {
		g.VMOVMSKPS(result, dst)
		return
	}
	g.VMOVMSKPS(result, bits)
	g.SHLL(operand.U8(g.lanes()), dst)
	g.ORL(bits, dst)
}

// decodeTernaryTwice sets dst to 2·Q. It brings the 32 bits of a block into all lanes and shifts each lane's code Q+1
// up to the highest bits, which are the sign and the top of the exponent: inverted and all others cleared, codes 0, 1
// and 2 are the float32 −2, −0 and 2. Clearing may use any port of the processor, a look-up not. What follows the
// codes in an incomplete block decodes to something finite, which the zeros of x cancel.
func decodeTernaryTwice(g *gen, src operand.Mem, dst []reg.VecVirtual, t *blockTail) {
	codes := dst[len(dst)-1]
	broadcastCodes(g, src, codes, t)
	for p := range dst {
		g.VPSLLVD(g.ternary.shifts[p], codes, dst[p])
	}
	for p := range dst {
		if g.avx512 {
			g.VPANDND(g.ternary.code, dst[p], dst[p])
		} else {
			g.VPANDN(g.ternary.code, dst[p], dst[p])
		}
	}
}

// decodeTernary sets dst to Q as decodeTernaryTwice does to 2·Q, but looks the codes up.
func decodeTernary(g *gen, src operand.Mem, dst []reg.VecVirtual, t *blockTail) {
	codes := dst[len(dst)-1]
	broadcastCodes(g, src, codes, t)
	for p := range dst {
		g.VPSRLVD(g.ternary.shifts[p], codes, dst[p])
		g.VPERMILPS(dst[p], g.ternary.weights, dst[p])
	}
}

// broadcastCodes brings the 32 bits of a block into all lanes.
func broadcastCodes(g *gen, src operand.Mem, codes reg.VecVirtual, t *blockTail) {
	switch {
	case t == nil:
		g.VPBROADCASTD(src, codes)
	case g.avx512:
		raw := g.XMM()
		g.VMOVDQU8_Z(src, t.raw, raw)
		g.VPBROADCASTD(raw, codes)
	default:
		g.VPBROADCASTD(format{bits: 2}.staged(g, src, t), codes)
	}
}

// ternaryConstants are constants in registers.
type ternaryConstants struct {
	shifts  []reg.VecVirtual // that bring the code of each lane of a block down, or up
	weights reg.VecVirtual   // by code, in each quarter
	code    reg.VecVirtual   // the highest bits
}

// loadTernaryTables is for decodeTernary.
func (g *gen) loadTernaryTables() {
	g.ternary = ternaryConstants{shifts: g.vecs(block / g.lanes()), weights: g.vec()}
	g.loadShifts("shifts", func(i int) uint32 { return uint32(2 * i) })
	g.VMOVUPS(g.words("weights", func(lane int) uint32 {
		return math.Float32bits([]float32{-1, 0, 1, 0}[lane%4])
	}), g.ternary.weights)
}

// loadTernaryShifts is for decodeTernaryTwice.
func (g *gen) loadTernaryShifts() {
	g.ternary = ternaryConstants{shifts: g.vecs(block / g.lanes()), code: g.vec()}
	g.loadShifts("shiftsUp", func(i int) uint32 { return uint32(30 - 2*i) })
	g.VMOVUPS(g.words("code", func(int) uint32 { return 3 << 30 }), g.ternary.code)
}

func (g *gen) loadShifts(name string, by func(i int) uint32) {
	for p, shifts := range g.ternary.shifts {
		g.VMOVUPS(g.words(fmt.Sprint(name, p), func(lane int) uint32 { return by(p*g.lanes() + lane) }), shifts)
	}
}
