package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func reductions(g *gen) {
	g.sum("dot", "(x, y []float32) float32", "is Σ x·y.", []string{"x", "y"},
		func(v []reg.VecVirtual, sum reg.VecVirtual) { g.VFMADD231PS(v[1], v[0], sum) })
	g.sum("sumSquares", "(x []float32) float32", "is Σ x².", []string{"x"},
		func(v []reg.VecVirtual, sum reg.VecVirtual) { g.VFMADD231PS(v[0], v[0], sum) })
	g.sum("dot3", "(x, y, z []float32) float32", "is Σ x·y·z.", []string{"x", "y", "z"},
		func(v []reg.VecVirtual, sum reg.VecVirtual) {
			g.VMULPS(v[1], v[0], v[0])
			g.VFMADD231PS(v[2], v[0], sum)
		})
	maximum(g)
}

// chains is the number of independent sums that hide the latency of an addition.
const chains = 4

// sum emits a kernel that adds a term for each element. body adds the terms of one
// vector of each input to a register.
func (g *gen) sum(name, signature, doc string, inputs []string, body func(v []reg.VecVirtual, sum reg.VecVirtual)) {
	g.function(name, signature, doc)
	pointers := g.pointers(inputs)
	n, index := g.length(inputs[0]), g.zeroIndex()
	sums := g.vecs(chains)
	for _, s := range sums {
		g.zero(s)
	}
	step := func(t *tail, chain int) {
		v := g.vecs(len(inputs))
		for i, name := range inputs {
			g.load(indexed(pointers[name], index, 4, 4*chain*g.lanes()), v[i], t)
		}
		body(v, sums[chain])
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
	total := g.horizontal(sums[:1])
	g.VMOVSS(total, g.returned())
	g.end()
}

func (g *gen) returned() operand.Mem {
	c, err := g.ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	return c.Addr
}

// unrolled emits body for each chains full registers of n elements and leaves the
// number of the others in n.
func (g *gen) unrolled(n, index reg.GPVirtual, body func()) {
	loop, rest := g.label("unrolled"), g.label("few")
	g.SUBQ(operand.U32(chains*g.lanes()), n)
	g.JL(operand.LabelRef(rest))
	g.Label(loop)
	body()
	g.ADDQ(operand.U32(chains*g.lanes()), index)
	g.SUBQ(operand.U32(chains*g.lanes()), n)
	g.JGE(operand.LabelRef(loop))
	g.Label(rest)
	g.ADDQ(operand.U32(chains*g.lanes()), n)
}

// horizontal sums the lanes of one register, or of four; the sums are the first lanes
// of the result. The order of additions is the same in both cases.
func (g *gen) horizontal(v []reg.VecVirtual) reg.VecVirtual {
	return g.across(v, func(a, b, dst reg.VecVirtual) { g.VADDPS(a, b, dst) })
}

// across is horizontal with another addition of 32-bit lanes.
func (g *gen) across(v []reg.VecVirtual, add func(a, b, dst reg.VecVirtual)) reg.VecVirtual {
	quarters := make([]reg.VecVirtual, 4)
	for i := range v {
		x := v[i]
		if g.avx512 {
			lower, upper := g.halves(x)
			add(upper, lower, lower)
			x = lower
		}
		upper := g.XMM()
		lower := x.AsX().(reg.VecVirtual)
		if g.avx512 {
			g.VEXTRACTF32X4(operand.U8(1), x.AsY(), upper)
		} else {
			g.VEXTRACTF128(operand.U8(1), x.AsY(), upper)
		}
		add(upper, lower, lower)
		quarters[i] = lower
	}
	for i := len(v); i < 4; i++ {
		quarters[i] = quarters[0]
	}
	// Lanes 0+2 and 1+3 of two registers side by side, then those of four.
	pairs := make([]reg.VecVirtual, 2)
	for i := range pairs {
		even, odd := g.XMM(), g.XMM()
		g.VUNPCKLPS(quarters[2*i+1], quarters[2*i], even)
		g.VUNPCKHPS(quarters[2*i+1], quarters[2*i], odd)
		add(odd, even, even)
		pairs[i] = even
	}
	first, second := g.XMM(), g.XMM()
	g.VUNPCKLPD(pairs[1], pairs[0], first)
	g.VUNPCKHPD(pairs[1], pairs[0], second)
	add(second, first, first)
	return first
}

// addDoubles adds the lanes of v, made float64, to two registers.
func (g *gen) addDoubles(v reg.VecVirtual, sums []reg.VecVirtual) {
	lower, upper := g.halves(v)
	for i, half := range []reg.VecVirtual{lower, upper} {
		wide := g.vec()
		g.VCVTPS2PD(half, wide)
		g.VADDPD(wide, sums[i], sums[i])
	}
}

// horizontalDouble adds up the float64 lanes of v.
func (g *gen) horizontalDouble(v reg.VecVirtual) reg.VecVirtual {
	if g.avx512 {
		lower, upper := g.halves(v)
		g.VADDPD(upper, lower, lower)
		v = lower
	}
	upper, lower := g.XMM(), v.AsX().(reg.VecVirtual)
	if g.avx512 {
		g.VEXTRACTF64X2(operand.U8(1), v.AsY(), upper)
	} else {
		g.VEXTRACTF128(operand.U8(1), v.AsY(), upper)
	}
	g.VADDPD(upper, lower, lower)
	second := g.XMM()
	g.VUNPCKHPD(lower, lower, second)
	g.VADDSD(second, lower, lower)
	return lower
}

// maximum begins with the first element in all lanes. A comparison with NaN keeps
// what was there.
func maximum(g *gen) {
	g.function("maximum", "(x []float32) float32", "is the largest element of x, which is not empty.")
	x, n, index := g.ptr("x"), g.length("x"), g.zeroIndex()
	largest, first := g.vec(), g.vec()
	g.VBROADCASTSS(mem(x, 0), first)
	g.VMOVAPS(first, largest)
	g.vectors(n, index, func(t *tail) {
		v, at := g.vec(), indexed(x, index, 4, 0)
		switch {
		case t == nil:
			g.VMOVUPS(at, v)
		case g.avx512:
			g.VMOVAPS(first, v)
			g.VMOVUPS(at, t.mask, v)
		default:
			g.load(at, v, t)
			g.VBLENDVPS(t.mask, v, first, v)
		}
		g.VMAXPS(largest, v, largest)
	})
	g.VMOVSS(g.largest(largest), g.returned())
	g.end()
}

// largest is the largest lane of v.
func (g *gen) largest(v reg.VecVirtual) reg.VecVirtual {
	if g.avx512 {
		lower, upper := g.halves(v)
		g.VMAXPS(upper, lower, lower)
		v = lower
	}
	other, top := g.XMM(), v.AsX().(reg.VecVirtual)
	if g.avx512 {
		g.VEXTRACTF32X4(operand.U8(1), v.AsY(), other)
	} else {
		g.VEXTRACTF128(operand.U8(1), v.AsY(), other)
	}
	g.VMAXPS(other, top, top)
	for _, swap := range []uint8{0b01_00_11_10, 0b10_11_00_01} {
		g.VPERMILPS(operand.U8(swap), top, other)
		g.VMAXPS(other, top, top)
	}
	return top
}
