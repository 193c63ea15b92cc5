package main

import "github.com/mmcloughlin/avo/operand"

// independentFMAs is enough of them to keep all multiply-add units busy, whatever their latency.
const independentFMAs = 12

func measureKernels(g *gen) {
	g.function("fmaLoop", "(n int) int", "does n rounds of independent multiply-adds and returns their number in one round.")
	n := g.arg("n")
	sums := g.vecs(independentFMAs)
	for _, s := range sums {
		g.zero(s)
	}
	factor := g.vec()
	g.zero(factor)
	g.Label("rounds")
	for _, s := range sums {
		g.VFMADD231PS(factor, factor, s)
	}
	g.DECQ(n)
	g.JNZ(operand.LabelRef("rounds"))
	count := g.GP64()
	g.MOVQ(operand.U32(independentFMAs*g.lanes()), count)
	g.Store(count, g.ReturnIndex(0))
	g.end()
}
