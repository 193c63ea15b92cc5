package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// codesKernels emits products of packed ternary codes with vectors in int8.
func codesKernels(g *gen) {
	packInt8(g)
	for _, grouped := range []bool{false, true} {
		codesOne(g, grouped)
		codesFour(g, grouped)
	}
	absMax(g)
	quantizeInt8(g)
}

// packInt8 uses the registers of AVX2 at both levels.
func packInt8(g *gen) {
	g.function("packInt8", "(dst, q *int8, chunks, units int)", "is codesKernels.pack.")
	dst, q, chunks := g.arg("dst"), g.arg("q"), g.arg("chunks")
	bytes, quads, ones := g.YMM(), g.YMM(), g.YMM()
	g.VMOVDQU(g.data("everyFourth", 8, func(i int) uint32 { return uint32(0x0c080400 + i%4*0x01010101) }), bytes)
	g.VMOVDQU(g.pairedQuarters(), quads)
	g.VMOVDQU(g.data("oneBytes", 8, func(int) uint32 { return 0x01010101 }), ones)
	correction, start, count := g.YMM(), g.GP64(), g.GP64()
	g.Label("chunks")
	g.VPXOR(correction, correction, correction)
	g.MOVQ(dst, start)
	g.MOVQ(g.address("units"), count)
	g.Label("units")
	values, pairs := g.YMM(), g.YMM()
	g.ADDQ(operand.U8(unit), dst)
	g.VMOVDQU(mem(q, 0), values)
	g.VPSHUFB(bytes, values, values)
	g.VPERMD(values, quads, values)
	g.VMOVDQU(values, mem(dst, 0))
	g.VPMADDUBSW(values, ones, pairs)
	g.VPSUBW(pairs, correction, correction)
	g.ADDQ(operand.U8(unit), q)
	g.DECQ(count)
	g.JNZ(operand.LabelRef("units"))
	g.VMOVDQU(correction, mem(start, 0))
	g.ADDQ(operand.U8(unit), dst)
	g.DECQ(chunks)
	g.JNZ(operand.LabelRef("chunks"))
	g.end()
}

// pairedQuarters are indices that bring 32 bits of the lower half and those of the upper
// half side by side.
func (g *gen) pairedQuarters() operand.Mem {
	return g.data("pairedQuarters", 8, func(i int) uint32 { return uint32(i/2 + i%2*4) })
}

func codesName(name string, grouped bool) string {
	if grouped {
		return "groupCodes" + name
	}
	return "codes" + name
}

func codesOne(g *gen, grouped bool) {
	g.function(codesName("One", grouped), "(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisor float32)",
		"is codesKernels.one.")
	p := newCodesProduct(g, 4, 1, grouped)
	y, rows := g.ptr("y"), g.AllocLocal(8) // what is left
	g.MOVQ(g.length("y"), rows)
	for _, height := range []int{4, 1} {
		eachRows(g, rows, height, func() {
			sums := p.total(g, p.products(g, height)[0])
			divisor := g.XMM()
			g.VBROADCASTSS(g.address("divisor"), divisor)
			g.VDIVPS(divisor, sums, sums)
			storeLanes(g, sums, mem(y, 0), height)
			g.ADDQ(operand.U8(4*height), y)
		})
	}
	g.end()
}

// codesFour handles one row at a time, or two with the registers of AVX-512.
func codesFour(g *gen, grouped bool) {
	g.function(codesName("Four", grouped),
		"(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisors []float32, rows, step int)",
		"is codesKernels.four.")
	heights := []int{1}
	if g.avx512 {
		heights = []int{2, 1}
	}
	p := newCodesProduct(g, heights[0], 4, grouped)
	rows, y := g.AllocLocal(8), g.AllocLocal(8)
	g.MOVQ(g.arg("rows"), rows)
	g.MOVQ(g.ptr("y"), y)
	for _, height := range heights {
		eachRows(g, rows, height, func() {
			totals := p.products(g, height)
			step, at, divisors := g.arg("step"), g.GP64(), g.ptr("divisors")
			for r := range height {
				g.MOVQ(y, at)
				sums := p.total(g, []reg.VecVirtual{totals[0][r], totals[1][r], totals[2][r], totals[3][r]})
				g.VDIVPS(mem(divisors, 0), sums, sums)
				scatterLanes(g, sums, at, step)
				g.ADDQ(operand.U8(4), y)
			}
		})
	}
	g.end()
}

// codesProduct addresses the operands of a product of codes with int8.
type codesProduct struct {
	grouped             bool
	codes, scales       strided // the next rows
	vectors             int
	shifts, codeOf, one reg.VecVirtual // constants
	upper, lower        reg.Register   // AVX-512: masks of the upper half in 64-bit lanes, the lower half in 32-bit lanes
}

func newCodesProduct(g *gen, height, vectors int, grouped bool) codesProduct {
	p := codesProduct{grouped: grouped, vectors: vectors, shifts: g.vec(), codeOf: g.vec(), one: g.vec()}
	g.VMOVUPS(g.words("codeShifts", func(lane int) uint32 { return []uint32{0, 0, 2, 0, 4, 0, 6, 0}[lane%8] }), p.shifts)
	g.VMOVUPS(g.words("codeBytes", func(int) uint32 { return 0x03030303 }), p.codeOf)
	g.VMOVUPS(g.words("oneWords", func(int) uint32 { return 0x00010001 }), p.one)
	if g.avx512 {
		bits := g.GP64()
		g.MOVQ(operand.U32(0xf0), bits)
		p.upper = g.K()
		g.KMOVQ(bits, p.upper)
		g.MOVQ(operand.U32(0xff), bits)
		p.lower = g.K()
		g.KMOVQ(bits, p.lower)
	}
	p.codes = strided{bases: []reg.GPVirtual{g.ptr("codes")}}
	if height > 1 {
		p.codes.distance, p.codes.distance3 = g.arg("stride"), g.GP64()
		g.LEAQ(indexed(p.codes.distance, p.codes.distance, 2, 0), p.codes.distance3)
	}
	if grouped {
		p.scales = strided{bases: []reg.GPVirtual{g.ptr("scales")}}
		if height > 1 {
			p.scales = newStrided(g, p.scales.bases[0], g.arg("chunks"), height)
		}
	}
	return p
}

// total sums the lanes of four registers, or of one, as float32.
func (p codesProduct) total(g *gen, v []reg.VecVirtual) reg.VecVirtual {
	if p.grouped {
		return g.horizontal(v)
	}
	sums := g.across(v, func(a, b, dst reg.VecVirtual) { g.VPADDD(a, b, dst) })
	g.VCVTDQ2PS(sums, sums)
	return sums
}

// products multiplies the next rows with the vectors and moves on by those rows. The
// result is, for each vector and row, a register to be added up.
func (p codesProduct) products(g *gen, rows int) [][]reg.VecVirtual {
	q := strided{bases: []reg.GPVirtual{g.ptr("q")}}
	if p.vectors > 1 { // a vector has its units and a correction for each chunk
		q.distance, q.distance3 = g.arg("chunks"), g.GP64()
		g.ADDQ(g.address("units"), q.distance)
		g.SHLQ(operand.U8(5), q.distance)
		g.LEAQ(indexed(q.distance, q.distance, 2, 0), q.distance3)
	}
	totals, sums := make([][]reg.VecVirtual, p.vectors), make([][]reg.VecVirtual, p.vectors)
	for v := range totals {
		totals[v], sums[v] = g.vecs(rows), g.vecs(rows)
		for _, t := range totals[v] {
			g.zero(t)
		}
	}
	at := p.codes
	at.bases = []reg.GPVirtual{g.GP64()}
	g.MOVQ(p.codes.bases[0], at.bases[0])
	coming, left, count := g.GP64(), g.arg("units"), g.GP64()
	g.LEAQ(mem(at.bases[0], ahead), coming)
	next := func(units int) {
		g.PREFETCHT0(mem(coming, 0))
		g.ADDQ(operand.U8(units*rows*unit/4), coming)
		g.ADDQ(operand.U8(units*unit/4), at.bases[0])
		g.ADDQ(operand.U8(units*unit), q.bases[0])
	}

	chunks, even, pairs, done := g.label("chunks"), g.label("even"), g.label("pairs"), g.label("done")
	g.Label(chunks)
	g.MOVQ(g.address("per"), count)
	g.CMPQ(left, count)
	g.CMOVQLT(left, count)
	g.SUBQ(count, left)
	for v := range sums { // the corrections, one register of AVX2
		for _, s := range sums[v] {
			p.loadUnit(g, q.at(v), s)
		}
	}
	g.ADDQ(operand.U8(unit), q.bases[0])
	g.TESTQ(operand.U32(1), count)
	g.JZ(operand.LabelRef(even))
	p.multiply(g, at, q, sums, 1)
	next(1)
	g.Label(even)
	g.SHRQ(operand.U8(1), count)
	g.JZ(operand.LabelRef(done))
	g.Label(pairs)
	p.multiply(g, at, q, sums, 2)
	next(2)
	g.DECQ(count)
	g.JNZ(operand.LabelRef(pairs))
	g.Label(done)
	for r := range rows {
		scale := g.vec()
		if p.grouped {
			g.VBROADCASTSS(p.scales.at(r), scale)
		}
		for v := range sums {
			s := sums[v][r]
			g.VPMADDWD(p.one, s, s)
			if p.grouped {
				g.VCVTDQ2PS(s, s)
				g.VFMADD231PS(s, scale, totals[v][r])
			} else {
				g.VPADDD(s, totals[v][r], totals[v][r])
			}
		}
	}
	if p.grouped {
		g.ADDQ(operand.U8(4), p.scales.bases[0])
	}
	g.TESTQ(left, left)
	g.JNZ(operand.LabelRef(chunks))

	for range rows {
		g.ADDQ(g.address("stride"), p.codes.bases[0])
	}
	if p.grouped && rows > 1 { // one row is behind
		g.LEAQ(p.scales.at(rows-1), p.scales.bases[0])
	}
	return totals
}

// multiply adds the products of one unit, or of two: 8 bytes of codes come into all
// quarters of 32 bytes, where their first, second, third and fourth codes are left.
func (p codesProduct) multiply(g *gen, at, q strided, sums [][]reg.VecVirtual, units int) {
	each := units // registers
	if g.avx512 {
		each = 1
	}
	rows := len(sums[0])
	for i := range each {
		values := make([]reg.VecVirtual, len(sums)) // nil: read by the product itself
		for v := range values {
			switch {
			case g.avx512 && units == 1:
				values[v] = g.vec()
				p.loadUnit(g, q.from(i*unit).at(v), values[v])
			case rows > 1:
				values[v] = g.vec()
				g.VMOVUPS(q.from(i*unit).at(v), values[v])
			}
		}
		for r := range rows {
			codes := g.vec()
			g.VPBROADCASTQ(at.from(i*unit/4).at(r), codes)
			if g.avx512 && units == 2 {
				g.VPBROADCASTQ(at.from(unit/4).at(r), p.upper, codes)
			}
			g.VPSRLVQ(p.shifts, codes, codes)
			g.VANDPS(p.codeOf, codes, codes)
			for v := range sums {
				product := g.vec()
				if values[v] != nil {
					g.VPMADDUBSW(values[v], codes, product)
				} else {
					g.VPMADDUBSW(q.from(i*unit).at(v), codes, product)
				}
				g.VPADDW(product, sums[v][r], sums[v][r])
			}
		}
	}
}

// loadUnit reads 32 bytes; the rest of a register becomes 0.
func (p codesProduct) loadUnit(g *gen, src operand.Mem, dst reg.VecVirtual) {
	if g.avx512 {
		g.VMOVDQU32_Z(src, p.lower, dst)
	} else {
		g.VMOVDQU(src, dst)
	}
}

func absMax(g *gen) {
	g.function("absMax", "(x []float32) float32", "is the largest absolute value of x, 0 of none; a NaN is passed over.")
	x, n, index := g.ptr("x"), g.length("x"), g.zeroIndex()
	largest, magnitude := g.vec(), g.vec()
	g.zero(largest)
	g.VMOVUPS(g.words("magnitude", func(int) uint32 { return 1<<31 - 1 }), magnitude)
	g.vectors(n, index, func(t *tail) {
		v := g.vec()
		g.load(indexed(x, index, 4, 0), v, t)
		g.VANDPS(magnitude, v, v)
		g.VMAXPS(largest, v, largest)
	})
	g.VMOVSS(g.largest(largest), g.returned())
	g.end()
}

// quantizeInt8 takes 32 elements at a time.
func quantizeInt8(g *gen) {
	g.function("quantizeInt8", "(q []int8, x []float32, scale float32)",
		"sets q to x·scale, rounded to the nearest, halves to even, and clamped; their number is a multiple of 32.")
	q, x, n, scale := g.ptr("q"), g.ptr("x"), g.length("q"), g.broadcast("scale")
	quads := g.YMM()
	if !g.avx512 {
		g.VMOVDQU(g.pairedQuarters(), quads)
	}
	g.Label("units")
	values := g.vecs(unit / g.lanes())
	for i, v := range values {
		g.VMULPS(mem(x, i*g.bytes()), scale, v)
		g.VCVTPS2DQ(v, v)
		if g.avx512 {
			g.VPMOVSDB(v, mem(q, i*g.lanes()))
		}
	}
	if !g.avx512 {
		g.VPACKSSDW(values[1], values[0], values[0])
		g.VPACKSSDW(values[3], values[2], values[2])
		g.VPACKSSWB(values[2], values[0], values[0])
		g.VPERMD(values[0], quads, values[0])
		g.VMOVDQU(values[0], mem(q, 0))
	}
	g.SUBQ(operand.I8(-unit*4), x)
	g.ADDQ(operand.U8(unit), q)
	g.SUBQ(operand.U8(unit), n)
	g.JNZ(operand.LabelRef("units"))
	g.end()
}
