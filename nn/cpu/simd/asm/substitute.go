package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// substitute takes a few columns through all rows before the next ones: their sums
// stay in registers while the rows above are read again, from the first cache level.
func substitute(g *gen) {
	g.function("substitute", "(x *float32, xStep, n, cols int, l *float32, lRow, lStep int)",
		"subtracts from row t of x the rows s < t times l[t·lRow+s·lStep], from the first row on.")
	x, xStep, lStep := g.arg("x"), g.arg("xStep"), g.arg("lStep")
	cols, index := g.arg("cols"), g.zeroIndex()
	columns := func(sums []reg.VecVirtual, t *tail) {
		rows, above, done := g.label("rows"), g.label("above"), g.label("solved")
		first, row, line, count := g.GP64(), g.GP64(), g.GP64(), g.GP64()
		g.LEAQ(indexed(x, index, 4, 0), first)
		g.MOVQ(first, row)
		g.MOVQ(g.address("l"), line)
		g.XORQ(count, count)
		g.Label(rows)
		for v, s := range sums {
			g.load(mem(row, v*g.bytes()), s, t)
		}
		known, element, left := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(first, known)
		g.MOVQ(line, element)
		g.MOVQ(count, left)
		g.TESTQ(left, left)
		g.JZ(operand.LabelRef(done))
		g.Label(above)
		factor := g.vec()
		g.VBROADCASTSS(mem(element, 0), factor)
		for v, s := range sums {
			value := g.vec()
			g.load(mem(known, v*g.bytes()), value, t)
			g.VFNMADD231PS(value, factor, s)
		}
		g.LEAQ(indexed(known, xStep, 4, 0), known)
		g.LEAQ(indexed(element, lStep, 4, 0), element)
		g.DECQ(left)
		g.JNZ(operand.LabelRef(above))
		g.Label(done)
		for v, s := range sums {
			g.store(s, mem(row, v*g.bytes()), t)
		}
		g.LEAQ(indexed(row, xStep, 4, 0), row)
		g.MOVQ(g.address("lRow"), left)
		g.LEAQ(indexed(line, left, 4, 0), line)
		g.INCQ(count)
		g.CMPQ(count, g.address("n"))
		g.JL(operand.LabelRef(rows))
	}
	g.unrolled(cols, index, func() { columns(g.vecs(chains), nil) })
	g.vectors(cols, index, func(t *tail) { columns(g.vecs(1), t) })
	g.end()
}
