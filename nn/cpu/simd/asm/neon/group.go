package main

// unit is the number of weights that the length of a group is a multiple of.
const unit = 32

func groupKernels(g *gen) {
	groupOne(g)
	groupFour(g)
}

func groupOne(g *gen) {
	g.function("groupOne", "(y []float32, codes []byte, scales, x []float32, groups, group int)", "is groupKernels.one.")
	p := newGroupProduct(g)
	y, rows := g.ptr("y"), g.length("y")
	for _, height := range []int{4, 1} {
		g.times(rows, height, func() { g.storeSums(p.products(g, height, 1), y) })
	}
	g.end()
}

func groupFour(g *gen) {
	g.function("groupFour", "(y []float32, codes []byte, scales, x []float32, rows, groups, group, step int)", "is groupKernels.four.")
	p := newGroupProduct(g)
	y, rows, step := g.ptr("y"), g.arg("rows"), g.bytesArg("step", 4)
	g.times(rows, 1, func() { g.scatter(across(p.products(g, 1, 4), g.faddp), y, step) })
	g.end()
}

// groupProduct addresses the operands of a product with scales for groups of weights.
type groupProduct struct {
	codes, scales         reg // the next rows
	codesStep, scalesStep reg
	cols                  reg // in bytes of x
}

func newGroupProduct(g *gen) groupProduct {
	g.loadTernaryShifts()
	p := groupProduct{codes: g.ptr("codes"), scales: g.ptr("scales"), codesStep: g.arg("groups"), scalesStep: g.bytesArg("groups", 4), cols: g.reg()}
	g.scope(func() { g.op("MUL", g.arg("group"), p.codesStep, p.codesStep) })
	g.op("LSL", "$2", p.codesStep, p.cols)
	g.op("LSR", "$2", p.codesStep, p.codesStep)
	return p
}

// products multiplies the next rows with the vectors, several of one of the two, and moves on by those rows. The result is
// a register to be added up for each.
func (p groupProduct) products(g *gen, height, vectors int) []vec {
	rows, scales := g.lines(p.codes, p.codesStep, height), g.lines(p.scales, p.scalesStep, height)
	first := g.ptr("x")
	x := g.lines(first, p.cols, vectors)
	n := max(height, vectors)
	totals := g.zeros(n)
	groups := g.arg("groups")
	g.repeat(groups, func() {
		sums := make([][]vec, n)
		for i := range sums {
			sums[i] = g.zeros(2)
		}
		count := g.arg("group")
		g.times(count, unit, func() {
			values, w := g.vecs(parts), g.vecs(parts)
			add := func(sums []vec) {
				for i, v := range values {
					g.fmla(sums[i%2], v, w[i])
				}
			}
			for range unit / block {
				if vectors == 1 {
					g.loadBlock(x[0], values)
				}
				for r, from := range rows {
					decodeTernaryTwice(g, from, w)
					if vectors == 1 {
						add(sums[r])
					}
				}
				if vectors > 1 {
					for v, from := range x {
						g.loadBlock(from, values)
						add(sums[v])
					}
				}
			}
		})
		scale := g.vec()
		for i, s := range sums {
			if i < height {
				g.op("FMOVS.P", mem(scales[i], 4), scale.f())
			}
			g.fadd(s[0], s[0], s[1])
			g.fmlaLane(totals[i], s[0], scale, 0)
		}
	})
	for _, t := range totals {
		g.fmul(t, t, g.ternary.half)
	}
	return totals
}
