package main

import "fmt"

// cacheKernels emit what attention does with the rows of a cache, which lie apart: products of all rows with a query, and
// the sum of all rows by weights. Rows are multiples of a block long.
func cacheKernels(g *gen) {
	for _, f := range []format{floatFormat, halfFormat} {
		f.scores(g)
		f.weighted(g)
	}
}

func (f format) scores(g *gen) {
	g.function(f.name+"Scores", fmt.Sprintf("(y []float32, w []%s, x []float32, step int)", f.element), "is cacheKernels.scores.")
	y, rows, w, step := g.ptr("y"), g.length("y"), g.ptr("w"), g.bytesArg("step", f.bits/8)
	for _, height := range []int{4, 1} {
		g.times(rows, height, func() {
			g.storeSums(f.products(g, g.lines(w, step, height), []reg{g.ptr("x")}, g.length("x"), false), y)
		})
	}
	g.end()
}

// weighted keeps the sums of a few columns in registers while it goes through the rows.
func (f format) weighted(g *gen) {
	g.function(f.name+"Weighted", fmt.Sprintf("(y []float32, w []%s, p []float32, step int)", f.element), "is cacheKernels.weighted.")
	y, n, w, step := g.ptr("y"), g.length("y"), g.ptr("w"), g.bytesArg("step", f.bits/8)
	for _, blocks := range []int{4, 1} {
		g.times(n, blocks*block, func() {
			sums, row := g.vecs(blocks*parts), g.vecs(parts)
			for i := 0; i < len(sums); i += 2 {
				g.loadPair(mem(y, 16*i), sums[i], sums[i+1])
			}
			line, p, rows := g.reg(), g.ptr("p"), g.length("p")
			g.op("MOVD", w, line)
			g.repeat(rows, func() {
				factor, at := g.vec(), g.reg()
				g.op("FMOVS.P", mem(p, 4), factor.f())
				g.op("MOVD", line, at)
				for b := range blocks {
					f.decode(g, at, row)
					for i, v := range row {
						g.fmlaLane(sums[b*parts+i], v, factor, 0)
					}
				}
				g.op("ADD", step, line, line)
			})
			for i := 0; i < len(sums); i += 2 {
				g.op("FSTPQ.P", fmt.Sprintf("(%s, %s)", sums[i].f(), sums[i+1].f()), mem(y, 32))
			}
			g.op("ADD", imm(blocks*block*f.bits/8), w, w)
		})
	}
	g.end()
}
