package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func activationKernels(g *gen) {
	expSum(g)
	expFrom(g)
	g.each("sigmoid", "(dst, x []float32)", "sets dst = σ(x).",
		nil, []string{"x"}, []string{"dst"},
		func(_, v []reg.VecVirtual) []reg.VecVirtual { return []reg.VecVirtual{g.sigmoid(v[0])} })
	g.each("silu", "(dst, x []float32)", "sets dst = x·σ(x).",
		nil, []string{"x"}, []string{"dst"},
		func(_, v []reg.VecVirtual) []reg.VecVirtual {
			g.VMULPS(g.sigmoid(v[0]), v[0], v[0])
			return v
		})
	g.each("siluBackward", "(dx, dy, x []float32)", "sets dx = dy·silu′(x).",
		nil, []string{"dy", "x"}, []string{"dx"},
		func(_, v []reg.VecVirtual) []reg.VecVirtual {
			slope := g.siluSlope(g.sigmoid(v[1]), v[1])
			g.VMULPS(v[0], slope, slope)
			return []reg.VecVirtual{slope}
		})
	g.each("siluMul", "(dst, gate, up []float32)", "sets dst = silu(gate)·up.",
		nil, []string{"gate", "up"}, []string{"dst"},
		func(_, v []reg.VecVirtual) []reg.VecVirtual {
			g.VMULPS(g.sigmoid(v[0]), v[0], v[0])
			g.VMULPS(v[1], v[0], v[0])
			return v[:1]
		})
	g.each("siluMulBackward", "(dgate, dup, dact, gate, up []float32)", "sets dgate = dact·up·silu′(gate), dup = dact·silu(gate).",
		nil, []string{"dact", "gate", "up"}, []string{"dgate", "dup"},
		func(_, v []reg.VecVirtual) []reg.VecVirtual {
			dact, gate, up := v[0], v[1], v[2]
			s := g.sigmoid(gate)
			g.VMULPS(dact, up, up)
			slope := g.siluSlope(s, gate)
			g.VMULPS(slope, up, up)
			g.VMULPS(gate, dact, dact)
			g.VMULPS(s, dact, dact)
			return []reg.VecVirtual{up, dact}
		})
}

// The bounds of the exponential, as in package simd.
const (
	expLowest  = -87.33
	expHighest = 88.37
)

// exp replaces x by its exponential: with n the whole number next to x/ln 2 and
// r = x − n·ln 2, |r| ≤ 0.35, it is 2ⁿ·exp(r). The Taylor polynomial of degree 7 is
// off by less than 6e-9 there. NaN stays NaN.
func (g *gen) exp(x reg.VecVirtual) {
	r, n, p := g.vec(), g.vec(), g.vec()
	// If an operand is NaN, the minimum and the maximum are the second source.
	g.VMOVUPS(g.float("expLowest", expLowest), r)
	g.VMAXPS(x, r, r)
	g.VMOVUPS(g.float("expHighest", expHighest), n)
	g.VMINPS(r, n, r)

	// Adding 1.5·2²³ leaves n in the lowest bits of the sum.
	g.VMOVUPS(g.float("whole", 3<<22), n)
	g.VFMADD231PS(g.float("log2e", math.Log2E), r, n)
	whole := g.vec()
	g.VSUBPS(g.float("whole", 3<<22), n, whole)
	upper := float64(float32(math.Ln2))
	g.VFNMADD231PS(g.float("ln2", upper), whole, r)
	g.VFNMADD231PS(g.float("ln2Rest", math.Ln2-upper), whole, r)

	inverse := 1.0 // of a factorial
	factorials := make([]float64, 8)
	for i := range factorials {
		factorials[i] = inverse
		inverse /= float64(i + 1)
	}
	name := func(i int) string { return "taylor" + string(rune('0'+i)) }
	g.VMOVUPS(g.float(name(7), factorials[7]), p)
	for i := 6; i >= 0; i-- {
		g.VFMADD213PS(g.float(name(i), factorials[i]), r, p)
	}
	// Shifting n into the exponent drops all but its lowest bits.
	g.VPSLLD(operand.U8(23), n, n)
	g.VPADDD(g.words("bias", func(int) uint32 { return 127 << 23 }), n, n)
	g.VMULPS(n, p, p)

	const notLess = 5 // not less than, or not comparable
	if g.avx512 {
		k := g.K()
		g.VCMPPS(operand.U8(notLess), g.float("expLowest", expLowest), x, k)
		g.VMOVAPS_Z(p, k, x)
	} else {
		g.VCMPPS(operand.U8(notLess), g.float("expLowest", expLowest), x, x)
		g.VANDPS(p, x, x)
	}
}

// sigmoid is 1/(1+exp(−x)); x stays.
func (g *gen) sigmoid(x reg.VecVirtual) reg.VecVirtual {
	e, s := g.vec(), g.vec()
	g.VXORPS(g.words("sign", func(int) uint32 { return 1 << 31 }), x, e)
	g.exp(e)
	g.VMOVUPS(g.float("one", 1), s)
	g.VADDPS(s, e, e)
	g.VDIVPS(e, s, s)
	return s
}

// siluSlope is s·(1 + x·(1−s)) with s = σ(x); s and x stay.
func (g *gen) siluSlope(s, x reg.VecVirtual) reg.VecVirtual {
	slope := g.vec()
	g.VMOVUPS(g.float("one", 1), slope)
	g.VSUBPS(s, slope, slope)
	g.VFMADD213PS(g.float("one", 1), x, slope)
	g.VMULPS(s, slope, slope)
	return slope
}

// expSum writes nothing when dst is nil.
func expSum(g *gen) {
	g.function("expSum", "(dst, x []float32, shift float32) float64",
		"sets dst = exp(x−shift), unless dst is nil, and returns the sum in float64.")
	dst, x := g.ptr("dst"), g.ptr("x")
	shift := g.broadcast("shift")
	n, index := g.length("x"), g.zeroIndex()
	sums := g.vecs(2)
	g.zero(sums[0])
	g.zero(sums[1])
	g.vectors(n, index, func(t *tail) {
		v, unstored := g.vec(), g.label("unstored")
		g.load(indexed(x, index, 4, 0), v, t)
		g.VSUBPS(shift, v, v)
		g.exp(v)
		if t != nil {
			g.keep(v, t)
		}
		g.TESTQ(dst, dst)
		g.JZ(operand.LabelRef(unstored))
		g.store(v, indexed(dst, index, 4, 0), t)
		g.Label(unstored)
		g.addDoubles(v, sums)
	})
	g.VADDPD(sums[1], sums[0], sums[0])
	g.VMOVSD(g.horizontalDouble(sums[0]), g.returned())
	g.end()
}

// expFrom gives 0 for elements below limit, and for NaN.
func expFrom(g *gen) {
	g.function("expFrom", "(dst, x []float32, limit, shift, divisor float32) float64",
		"sets dst = exp((x−shift)/divisor) where x ≥ limit, else 0, and returns the sum in float64.")
	dst, x := g.ptr("dst"), g.ptr("x")
	limit, shift, divisor := g.broadcast("limit"), g.broadcast("shift"), g.broadcast("divisor")
	n, index := g.length("x"), g.zeroIndex()
	sums := g.vecs(2)
	g.zero(sums[0])
	g.zero(sums[1])
	g.vectors(n, index, func(t *tail) {
		v := g.vec()
		g.load(indexed(x, index, 4, 0), v, t)
		const atLeast = 13 // false for NaN
		stays := &tail{}
		if g.avx512 {
			k := g.K()
			g.VCMPPS(operand.U8(atLeast), limit, v, k)
			stays.mask = k
		} else {
			mask := g.vec()
			g.VCMPPS(operand.U8(atLeast), limit, v, mask)
			stays.mask = mask
		}
		g.VSUBPS(shift, v, v)
		g.VDIVPS(divisor, v, v)
		g.exp(v)
		g.keep(v, stays)
		if t != nil {
			g.keep(v, t)
		}
		g.store(v, indexed(dst, index, 4, 0), t)
		g.addDoubles(v, sums)
	})
	g.VADDPD(sums[1], sums[0], sums[0])
	g.VMOVSD(g.horizontalDouble(sums[0]), g.returned())
	g.end()
}

// keep sets the lanes outside the tail to 0.
func (g *gen) keep(v reg.VecVirtual, t *tail) {
	if g.avx512 {
		g.VMOVAPS_Z(v, t.mask, v)
	} else {
		g.VANDPS(t.mask, v, v)
	}
}
