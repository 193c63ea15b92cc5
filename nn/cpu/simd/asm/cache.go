package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// cacheKernels emit what attention does with the rows of a cache, which lie apart: products of all rows with a query, and the
// sum of all rows by weights. Rows are multiples of 16 elements long.
func cacheKernels(g *gen) {
	for _, f := range []format{{"float", "float32", 32, decodeFloat, false}, {"half", "uint16", 16, decodeHalf, false}} {
		f.scores(g)
		f.weighted(g)
	}
}

// apart addresses rows that lie step elements apart.
func (f format) apart(g *gen) strided {
	s := strided{bases: []reg.GPVirtual{g.ptr("w")}, distance: g.arg("step"), distance3: g.GP64()}
	f.bytesOf(g, s.distance, s.distance)
	g.LEAQ(indexed(s.distance, s.distance, 2, 0), s.distance3)
	return s
}

// accumulate adds register p of a row's block, times factor, to a sum.
func (f format) accumulate(g *gen, row operand.Mem, p int, factor, sum reg.VecVirtual) {
	src := row.Offset(p * g.lanes() * f.bits / 8)
	if f.bits == 32 {
		g.VFMADD231PS(src, factor, sum)
		return
	}
	v := g.vec()
	g.VCVTPH2PS(src, v)
	g.VFMADD231PS(v, factor, sum)
}

func (f format) scores(g *gen) {
	g.function(f.name+"Scores", fmt.Sprintf("(y []float32, w []%s, x []float32, step int)", f.element), "is cacheKernels.scores.")
	y, rows := g.ptr("y"), g.length("y")
	w := f.apart(g)
	parts := block / g.lanes()
	for _, height := range []int{4, 1} {
		loop, done, blocks := g.label("rows"), g.label("few"), g.label("blocks")
		g.Label(loop)
		g.CMPQ(rows, operand.U8(height))
		g.JL(operand.LabelRef(done))
		sums := make([][]reg.VecVirtual, height)
		for r := range sums {
			sums[r] = g.vecs(parts)
			for _, s := range sums[r] {
				g.zero(s)
			}
		}
		at := strided{bases: []reg.GPVirtual{g.GP64()}, distance: w.distance, distance3: w.distance3}
		g.MOVQ(w.bases[0], at.bases[0])
		x, n := g.ptr("x"), g.length("x")
		g.Label(blocks)
		for p := range parts {
			v := g.vec()
			g.VMOVUPS(mem(x, p*g.bytes()), v)
			for r := range height {
				f.accumulate(g, at.at(r), p, v, sums[r][p])
			}
		}
		g.ADDQ(operand.U8(block*f.bits/8), at.bases[0])
		g.ADDQ(operand.U8(4*block), x)
		g.SUBQ(operand.U8(block), n)
		g.JG(operand.LabelRef(blocks))
		var totals []reg.VecVirtual
		for _, s := range sums {
			if parts == 2 {
				g.VADDPS(s[1], s[0], s[0])
			}
			totals = append(totals, s[0])
		}
		storeLanes(g, g.horizontal(totals), mem(y, 0), height)
		g.ADDQ(operand.U8(4*height), y)
		f.advance(g, w, height)
		g.SUBQ(operand.U8(height), rows)
		g.JMP(operand.LabelRef(loop))
		g.Label(done)
	}
	g.end()
}

func (f format) weighted(g *gen) {
	g.function(f.name+"Weighted", fmt.Sprintf("(y []float32, w []%s, p []float32, step int)", f.element), "is cacheKernels.weighted.")
	y, n := g.ptr("y"), g.length("y")
	w, step := g.ptr("w"), g.arg("step")
	f.bytesOf(g, step, step)
	for _, chunk := range []int{4 * block, block} {
		loop, done, rows := g.label("columns"), g.label("few"), g.label("rows")
		g.Label(loop)
		g.CMPQ(n, operand.U8(chunk))
		g.JL(operand.LabelRef(done))
		sums := g.vecs(chunk / g.lanes())
		for i, s := range sums {
			g.VMOVUPS(mem(y, i*g.bytes()), s)
		}
		at, p, count := g.GP64(), g.ptr("p"), g.length("p")
		g.MOVQ(w, at)
		g.Label(rows)
		factor := g.vec()
		g.VBROADCASTSS(mem(p, 0), factor)
		for i, s := range sums {
			f.accumulate(g, mem(at, 0), i, factor, s)
		}
		g.ADDQ(step, at)
		g.ADDQ(operand.U8(4), p)
		g.DECQ(count)
		g.JNZ(operand.LabelRef(rows))
		for i, s := range sums {
			g.VMOVUPS(s, mem(y, i*g.bytes()))
		}
		g.ADDQ(operand.U32(4*chunk), y)
		g.ADDQ(operand.U32(chunk*f.bits/8), w)
		g.SUBQ(operand.U8(chunk), n)
		g.JMP(operand.LabelRef(loop))
		g.Label(done)
	}
	g.end()
}
