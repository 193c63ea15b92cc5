package main

import "fmt"

// codesKernels emits products of packed ternary codes with vectors in int8: once with products of bytes that are added up
// in 16 bits, and once with dot-product instructions. Both are exact, and scale the same sums.
func codesKernels(g *gen) {
	packInt8(g)
	absMax(g)
	quantizeInt8(g)
	for _, dot := range []bool{false, true} {
		g.dot = dot
		for _, grouped := range []bool{false, true} {
			codesOne(g, grouped)
			codesFour(g, grouped)
		}
	}
}

// packInt8 reads every fourth element into a register of its own, which gives the right order.
func packInt8(g *gen) {
	g.function("packInt8", "(dst, q *int8, chunks, units int)", "is codesKernels.pack.")
	dst, q, chunks := g.arg("dst"), g.arg("q"), g.arg("chunks")
	g.repeat(chunks, func() {
		sums, start, count := g.zeros(4), g.reg(), g.arg("units")
		g.op("MOVD", dst, start)
		g.op("ADD", imm(unit), dst, dst)
		g.repeat(count, func() {
			v := g.vecs(4)
			list := fmt.Sprintf("[%v.B8, %v.B8, %v.B8, %v.B8]", v[0], v[1], v[2], v[3])
			g.op("VLD4.P", mem(q, unit), list)
			g.op("VST1.P", list, mem(dst, unit))
			for i, s := range sums {
				g.sadalpB(s, v[i])
			}
		})
		for i, s := range sums {
			g.negH(s, s)
			g.op("FMOVD", s.f(), mem(start, 8*i))
		}
	})
	g.end()
}

func absMax(g *gen) {
	g.function("absMax", "(x []float32) float32", "is the largest absolute value of x, 0 of none; a NaN is passed over.")
	x, n := g.ptr("x"), g.length("x")
	g.largest(x, n, g.zeros(2), func(v vec) { g.fabs(v, v) })
}

// quantizeInt8 takes 32 elements at a time. The conversions saturate.
func quantizeInt8(g *gen) {
	g.function("quantizeInt8", "(q []int8, x []float32, scale float32)",
		"sets q to x·scale, rounded to the nearest, halves to even, and clamped, NaN to −128; their number is a multiple of 32.")
	q, x, n, scale, lowest := g.ptr("q"), g.ptr("x"), g.length("q"), g.broadcast("scale"), g.all(1<<31)
	g.times(n, unit, func() {
		v, number := g.vecs(unit/lanes), g.vec()
		for i := 0; i < len(v); i += 2 {
			g.loadPair2(x, v[i], v[i+1])
		}
		for _, v := range v {
			g.fmul(v, v, scale)
			g.fcmeq(number, v, v)
			g.fcvtns(v, v)
			g.bif(v, lowest, number)
		}
		for i := 0; i < len(v); i += 4 {
			for j := i; j < i+4; j += 2 {
				g.sqxtnH(v[j], v[j])
				g.sqxtn2H(v[j], v[j+1])
			}
			g.sqxtnB(v[i], v[i])
			g.sqxtn2B(v[i], v[i+2])
		}
		g.storePair(v[0], v[4], mem(q, 0))
		g.op("ADD", imm(unit), q, q)
	})
	g.end()
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
	p := newCodesProduct(g, grouped)
	divisor := g.broadcast("divisor")
	y, rows := g.ptr("y"), g.length("y")
	for _, height := range []int{4, 1} {
		g.times(rows, height, func() {
			sums := p.products(g, height, 1)
			g.fdiv(sums, sums, divisor)
			if height == 1 {
				g.op("FMOVS.P", sums.f(), mem(y, 4))
			} else {
				g.op("FMOVQ.P", sums.f(), mem(y, 16))
			}
		})
	}
	g.end()
}

func codesFour(g *gen, grouped bool) {
	g.function(codesName("Four", grouped),
		"(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisors []float32, rows, step int)",
		"is codesKernels.four.")
	p := newCodesProduct(g, grouped)
	divisors := g.vec()
	g.scope(func() { g.op("FMOVQ", mem(g.ptr("divisors"), 0), divisors.f()) })
	y, rows, step := g.ptr("y"), g.arg("rows"), g.bytesArg("step", 4)
	g.times(rows, 1, func() {
		sums := p.products(g, 1, 4)
		g.fdiv(sums, sums, divisors)
		g.scatter(sums, y, step)
	})
	g.end()
}

// codesProduct addresses the operands of a product of codes with int8.
type codesProduct struct {
	grouped                           bool
	codes, stride, scales, scalesStep reg // the next rows
	shifts                            []vec
	code                              vec
}

func newCodesProduct(g *gen, grouped bool) codesProduct {
	p := codesProduct{grouped: grouped, codes: g.ptr("codes"), stride: g.arg("stride"), code: g.all(0x03030303)}
	if grouped {
		p.scales, p.scalesStep = g.ptr("scales"), g.bytesArg("chunks", 4)
	}
	p.shifts = []vec{ // to the right by 0 and 2, by 4 and 6
		g.words("codesFirst", 0, 0, 0xfefefefe, 0xfefefefe),
		g.words("codesSecond", 0xfcfcfcfc, 0xfcfcfcfc, 0xfafafafa, 0xfafafafa),
	}
	return p
}

// products multiplies the next rows with the vectors, several of one of the two, and moves on by those rows. The result has
// their sums as lanes, or as lane 0.
func (p codesProduct) products(g *gen, height, vectors int) vec {
	n := max(height, vectors)
	rows, total := g.lines(p.codes, p.stride, height), g.zeros(1)[0]
	var scales []reg
	if p.grouped {
		scales = g.lines(p.scales, p.scalesStep, height)
	}
	first, length := g.ptr("q"), g.arg("chunks") // a vector has its units and a correction for each chunk
	left := g.arg("units")
	g.op("ADD", left, length, length)
	g.op("LSL", "$5", length, length)
	q := g.lines(first, length, vectors)
	whole := g.zeros(n) // sums of chunks, where they have no scales
	chunks := g.label("chunks")
	g.here(chunks)
	g.scope(func() {
		count := g.arg("per")
		g.op("CMP", count, left)
		g.op("CSEL", "LT", left, count, count)
		g.op("SUB", count, left, left)
		corrections, sums := g.vecs(vectors), make([][]vec, n)
		for v, c := range corrections {
			g.scope(func() {
				more := g.vec()
				g.loadPair2(q[v], c, more)
				g.saddlpH(c, c)
				g.sadalpH(c, more)
			})
		}
		for i := range sums {
			sums[i] = g.zeros(2)
		}
		g.repeat(count, func() { p.unit(g, rows, q, sums) })
		for i, s := range sums {
			if g.dot {
				g.add(s[0], s[0], s[1])
			} else {
				g.saddlpH(s[0], s[0])
				g.sadalpH(s[0], s[1])
			}
			g.add(s[0], s[0], corrections[min(i, vectors-1)])
			if !p.grouped {
				g.add(whole[i], whole[i], s[0])
			}
		}
		if p.grouped {
			p.scale(g, total, sums, scales)
		}
	})
	g.op("CBNZ", left, chunks)
	if p.grouped {
		return total
	}
	sums := across(whole, g.addp)
	g.scvtf(sums, sums)
	return sums
}

// unit adds the products of 32 weights: 8 bytes of codes come into both halves of two registers, where their first, second,
// third and fourth codes are left.
func (p codesProduct) unit(g *gen, rows, q []reg, sums [][]vec) {
	values, codes := g.vecs(2), g.vecs(2)
	add := func(sums []vec) {
		for i, v := range values {
			if g.dot {
				g.sdot(sums[i], codes[i], v)
			} else { // each of a lane's sums of at most 128 products with 0, 1 or 2 fits into 16 bits
				g.smlalB(sums[i], codes[i], v)
				g.smlal2B(sums[i], codes[i], v)
			}
		}
	}
	if len(q) == 1 {
		g.loadPair2(q[0], values[0], values[1])
	}
	for r, from := range rows {
		g.op("VLD1R.P", mem(from, 8), fmt.Sprintf("[%v.D2]", codes[1]))
		for i, c := range codes {
			g.ushlB(c, codes[1], p.shifts[i])
		}
		for _, c := range codes {
			g.and(c, c, p.code)
		}
		if len(q) == 1 {
			add(sums[r])
		}
	}
	if len(q) > 1 {
		for v, from := range q {
			g.loadPair2(from, values[0], values[1])
			add(sums[v])
		}
	}
}

// scale adds the sums of a chunk, each as a whole times its row's scale, to total.
func (p codesProduct) scale(g *gen, total vec, sums [][]vec, scales []reg) {
	var all []vec
	for _, s := range sums {
		all = append(all, s[0])
	}
	part, factors := across(all, g.addp), g.vec()
	g.scvtf(part, part)
	if len(scales) == 1 {
		g.op("FMOVS.P", mem(scales[0], 4), factors.f())
		g.fmlaLane(total, part, factors, 0)
		return
	}
	for i, s := range scales {
		g.op("VLD1.P", mem(s, 4), lane(factors, i))
	}
	g.fmla(total, part, factors)
}
