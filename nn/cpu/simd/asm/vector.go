package main

import (
	"math"
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func vectorKernels(g *gen) {
	reductions(g)
	elementwise(g)
	ger(g)
	adamW(g)
	magnitudes(g)
}

func elementwise(g *gen) {
	g.each("axpy", "(alpha float32, x, y []float32)", "adds alpha·x to y.",
		[]string{"alpha"}, []string{"x", "y"}, []string{"y"},
		func(s, v []reg.VecVirtual) []reg.VecVirtual {
			g.VFMADD231PS(v[0], s[0], v[1])
			return v[1:]
		})
	g.each("scale", "(alpha float32, x []float32)", "multiplies x by alpha.",
		[]string{"alpha"}, []string{"x"}, []string{"x"},
		func(s, v []reg.VecVirtual) []reg.VecVirtual {
			g.VMULPS(s[0], v[0], v[0])
			return v
		})
	g.each("add", "(dst, a, b []float32)", "sets dst = a + b.",
		nil, []string{"a", "b"}, []string{"dst"},
		func(_, v []reg.VecVirtual) []reg.VecVirtual {
			g.VADDPS(v[1], v[0], v[0])
			return v[:1]
		})
	g.each("mul", "(dst, a, b []float32)", "sets dst = a·b, element by element.",
		nil, []string{"a", "b"}, []string{"dst"},
		func(_, v []reg.VecVirtual) []reg.VecVirtual {
			g.VMULPS(v[1], v[0], v[0])
			return v[:1]
		})
	g.each("mulAdd", "(dst, a, b []float32)", "adds a·b to dst, element by element.",
		nil, []string{"dst", "a", "b"}, []string{"dst"},
		func(_, v []reg.VecVirtual) []reg.VecVirtual {
			g.VFMADD231PS(v[1], v[2], v[0])
			return v[:1]
		})
	g.each("scaledMul", "(dst []float32, alpha float32, a, b []float32)", "sets dst = alpha·a·b, element by element.",
		[]string{"alpha"}, []string{"a", "b"}, []string{"dst"},
		func(s, v []reg.VecVirtual) []reg.VecVirtual {
			g.VMULPS(s[0], v[0], v[0])
			g.VMULPS(v[1], v[0], v[0])
			return v[:1]
		})
	g.each("rmsNormBackward", "(dx, dgain, dy, x, gain []float32, rstd, pull float32)",
		"adds dy·gain·rstd − x·pull to dx and dy·x·rstd to dgain.",
		[]string{"rstd", "pull"}, []string{"dx", "dgain", "dy", "x", "gain"}, []string{"dx", "dgain"},
		func(s, v []reg.VecVirtual) []reg.VecVirtual {
			dx, dgain, dy, x, gain := v[0], v[1], v[2], v[3], v[4]
			g.VMULPS(s[0], dy, dy)
			g.VFMADD231PS(x, dy, dgain)
			g.VFMADD231PS(gain, dy, dx)
			g.VFNMADD231PS(x, s[1], dx)
			return []reg.VecVirtual{dx, dgain}
		})
}

// each emits a kernel that works on one element of every slice at a time. body gets
// the scalars, broadcast, and a vector of each input, and returns one for each output.
func (g *gen) each(name, signature, doc string, scalars, inputs, outputs []string, body func(scalars, vectors []reg.VecVirtual) []reg.VecVirtual) {
	g.function(name, signature, doc)
	pointers := g.pointers(inputs, outputs)
	var broadcast []reg.VecVirtual
	for _, s := range scalars {
		broadcast = append(broadcast, g.broadcast(s))
	}
	n, index := g.length(outputs[0]), g.zeroIndex()
	g.vectors(n, index, func(t *tail) {
		v := g.vecs(len(inputs))
		for i, name := range inputs {
			g.load(indexed(pointers[name], index, 4, 0), v[i], t)
		}
		for i, result := range body(broadcast, v) {
			g.store(result, indexed(pointers[outputs[i]], index, 4, 0), t)
		}
	})
	g.end()
}

func (g *gen) pointers(lists ...[]string) map[string]reg.GPVirtual {
	p := make(map[string]reg.GPVirtual)
	for _, list := range lists {
		for _, name := range list {
			if p[name] == nil {
				p[name] = g.ptr(name)
			}
		}
	}
	return p
}

func (g *gen) zeroIndex() reg.GPVirtual {
	index := g.GP64()
	g.XORQ(index, index)
	return index
}

// ger adds alpha·e·kᵀ to the rows of w, a row at a time.
func ger(g *gen) {
	g.function("ger", "(w []float32, alpha float32, e, k []float32)", "adds alpha·e·kᵀ to w.")
	w, e, k := g.ptr("w"), g.ptr("e"), g.ptr("k")
	rows := g.length("e")
	g.Label("rows")
	factor := g.vec()
	g.VBROADCASTSS(mem(e, 0), factor)
	alpha := g.broadcast("alpha")
	g.VMULPS(alpha, factor, factor)
	n, index := g.length("k"), g.zeroIndex()
	g.vectors(n, index, func(t *tail) {
		row, key := g.vec(), g.vec()
		g.load(indexed(w, index, 4, 0), row, t)
		g.load(indexed(k, index, 4, 0), key, t)
		g.VFMADD231PS(key, factor, row)
		g.store(row, indexed(w, index, 4, 0), t)
	})
	length := g.length("k")
	g.LEAQ(indexed(w, length, 4, 0), w)
	g.ADDQ(operand.U8(4), e)
	g.DECQ(rows)
	g.JNZ(operand.LabelRef("rows"))
	g.end()
}

// adamW reads its scalars from memory in each iteration: AVX2 does not have enough registers.
func adamW(g *gen) {
	g.function("adamW", "(w, g, m, v []float32, gscale, keep1, add1, keep2, add2, invC2, eps, rate, shrink float32)",
		"does one step of AdamW; see adamWScalar.")
	names := []string{"w", "g", "m", "v"}
	pointers := g.pointers(names)
	n, index := g.length("w"), g.zeroIndex()
	g.vectors(n, index, func(t *tail) {
		at := func(name string) operand.Mem { return indexed(pointers[name], index, 4, 0) }
		w, grad, m, v := g.vec(), g.vec(), g.vec(), g.vec()
		g.load(at("g"), grad, t)
		g.load(at("m"), m, t)
		g.load(at("v"), v, t)
		g.load(at("w"), w, t)
		g.VMULPS(g.broadcast("gscale"), grad, grad)
		g.VMULPS(g.broadcast("keep1"), m, m)
		g.VFMADD231PS(g.broadcast("add1"), grad, m)
		g.store(m, at("m"), t)
		g.VMULPS(grad, grad, grad)
		g.VMULPS(g.broadcast("keep2"), v, v)
		g.VFMADD231PS(g.broadcast("add2"), grad, v)
		g.store(v, at("v"), t)
		root := g.vec()
		g.VMULPS(g.broadcast("invC2"), v, root)
		g.VSQRTPS(root, root)
		g.VADDPS(g.broadcast("eps"), root, root)
		g.VMULPS(g.broadcast("rate"), m, m)
		g.VDIVPS(root, m, m)
		g.VFNMADD231PS(g.broadcast("shrink"), w, w)
		g.VSUBPS(m, w, w)
		g.store(w, at("w"), t)
	})
	g.end()
}

// magnitudes adds |w| in float64, and keeps the least one that is not 0 and the largest one by their bits, which are in the
// order of the numbers.
func magnitudes(g *gen) {
	g.function("magnitudes", "(w []float32, totals *float64, least, most *uint32)", "is kernels.magnitudes.")
	w, n := g.ptr("w"), g.length("w")
	const perRound = 2
	sums, least, most := g.vecs(2*perRound), g.vecs(perRound), g.vecs(perRound)
	for _, v := range append(slices.Clone(sums), most...) {
		g.zero(v)
	}
	ones := g.words("allOnes", func(int) uint32 { return math.MaxUint32 })
	for _, v := range least {
		g.VMOVUPS(ones, v)
	}
	magnitude := g.words("magnitude", func(int) uint32 { return math.MaxInt32 })
	magnitude64 := g.words("magnitude64", func(i int) uint32 { return math.MaxUint32 >> (i % 2) })
	loop := g.label("loop")
	g.Label(loop)
	for i := range perRound {
		for half := range 2 {
			v := g.vec()
			g.VCVTPS2PD(mem(w, i*g.bytes()+half*g.bytes()/2), v)
			g.VANDPD(magnitude64, v, v)
			g.VADDPD(v, sums[2*i+half], sums[2*i+half])
		}
		v := g.vec()
		g.VMOVUPS(mem(w, i*g.bytes()), v)
		g.VANDPS(magnitude, v, v)
		g.VPMAXUD(v, most[i], most[i])
		g.VPADDD(ones, v, v) // 0 becomes the largest number
		g.VPMINUD(v, least[i], least[i])
	}
	g.ADDQ(operand.U32(perRound*g.bytes()), w)
	g.SUBQ(operand.U32(perRound*g.lanes()), n)
	g.JNZ(operand.LabelRef(loop))
	g.VADDPD(sums[1], sums[0], sums[0])
	g.VADDPD(sums[3], sums[2], sums[2])
	g.VADDPD(sums[2], sums[0], sums[0])
	g.VMOVUPS(sums[0], mem(g.arg("totals"), 0))
	g.VPMINUD(least[1], least[0], least[0])
	g.VMOVUPS(least[0], mem(g.arg("least"), 0))
	g.VPMAXUD(most[1], most[0], most[0])
	g.VMOVUPS(most[0], mem(g.arg("most"), 0))
	g.end()
}
