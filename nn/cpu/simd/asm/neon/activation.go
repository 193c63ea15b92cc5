package main

func activationKernels(g *gen) {
	expSum(g)
	expFrom(g)
	activation := func(name, signature, doc string, inputs, outputs []string, body func(c expConstants, v []vec) []vec) {
		g.function(name, signature, doc)
		c := g.expConstants()
		g.rest(nil, inputs, outputs, 2, func(_, v []vec) []vec { return body(c, v) })
	}
	activation("sigmoid", "(dst, x []float32)", "sets dst = σ(x).", []string{"x"}, []string{"dst"},
		func(c expConstants, v []vec) []vec { return []vec{g.sigmoid(c, v[0])} })
	activation("silu", "(dst, x []float32)", "sets dst = x·σ(x).", []string{"x"}, []string{"dst"},
		func(c expConstants, v []vec) []vec {
			g.fmul(v[0], v[0], g.sigmoid(c, v[0]))
			return v
		})
	activation("siluBackward", "(dx, dy, x []float32)", "sets dx = dy·silu′(x).", []string{"dy", "x"}, []string{"dx"},
		func(c expConstants, v []vec) []vec {
			slope := g.siluSlope(c, g.sigmoid(c, v[1]), v[1])
			g.fmul(slope, slope, v[0])
			return []vec{slope}
		})
	activation("siluMul", "(dst, gate, up []float32)", "sets dst = silu(gate)·up.", []string{"gate", "up"}, []string{"dst"},
		func(c expConstants, v []vec) []vec {
			g.fmul(v[0], v[0], g.sigmoid(c, v[0]))
			g.fmul(v[0], v[0], v[1])
			return v[:1]
		})
	activation("siluMulBackward", "(dgate, dup, dact, gate, up []float32)", "sets dgate = dact·up·silu′(gate), dup = dact·silu(gate).",
		[]string{"dact", "gate", "up"}, []string{"dgate", "dup"},
		func(c expConstants, v []vec) []vec {
			dact, gate, up := v[0], v[1], v[2]
			s := g.sigmoid(c, gate)
			g.fmul(up, up, dact)
			slope := g.siluSlope(c, s, gate)
			g.fmul(up, up, slope)
			g.fmul(dact, dact, gate)
			g.fmul(dact, dact, s)
			return []vec{up, dact}
		})
}

// exp replaces x by its exponential: with n the whole number next to x/ln 2 and r = x − n·ln 2, |r| ≤ 0.35, it is
// 2ⁿ·exp(r). The Taylor polynomial of degree 7 is off by less than 6e-9 there. NaN stays NaN.
func (g *gen) exp(c expConstants, x vec) {
	g.scope(func() {
		r, n, p, q := g.vec(), g.vec(), g.vec(), g.vec()
		g.fmax(r, x, c.lowest) // NaN stays
		g.fmin(r, r, c.highest)

		// Adding 1.5·2²³ leaves n in the lowest bits of the sum.
		g.move(n, c.whole)
		g.fmla(n, r, c.log2e)
		g.fsub(p, n, c.whole)
		g.fmls(r, p, c.ln2)
		g.fmls(r, p, c.ln2Rest)

		last := len(c.taylor) - 1
		g.move(p, c.taylor[last-1])
		g.fmla(p, r, c.taylor[last])
		for i := last - 2; i >= -2; i-- {
			if i >= 0 {
				g.move(q, c.taylor[i])
			} else {
				g.move(q, c.one)
			}
			g.fmla(q, p, r)
			p, q = q, p
		}
		// Shifting n into the exponent drops all but its lowest bits.
		g.shl(n, n, 23)
		g.add(n, n, c.bias)
		g.fmul(p, p, n)
		g.fcmgt(q, c.lowest, x) // not of NaN
		g.bic(x, p, q)
	})
}

// sigmoid is 1/(1+exp(−x)); x stays.
func (g *gen) sigmoid(c expConstants, x vec) vec {
	s := g.vec()
	g.fneg(s, x)
	g.exp(c, s)
	g.fadd(s, s, c.one)
	g.fdiv(s, c.one, s)
	return s
}

// siluSlope is s·(1 + x·(1−s)) with s = σ(x); s and x stay.
func (g *gen) siluSlope(c expConstants, s, x vec) vec {
	slope := g.vec()
	g.scope(func() {
		rest := g.vec()
		g.fsub(rest, c.one, s)
		g.move(slope, c.one)
		g.fmla(slope, rest, x)
		g.fmul(slope, slope, s)
	})
	return slope
}

// first keeps n lanes, all of them or the first.
func (g *gen) first(v vec, n int) {
	if n == 1 {
		g.op("FMOVS", v.f(), v.f()) // clears the others
	}
}

// expSum writes nothing when dst is nil.
func expSum(g *gen) {
	g.function("expSum", "(dst, x []float32, shift float32) float64",
		"sets dst = exp(x−shift), unless dst is nil, and returns the sum in float64.")
	c, shift, sums := g.expConstants(), g.broadcast("shift"), g.zeros(2)
	dst, x, step := g.ptr("dst"), g.ptr("x"), g.length("x")
	g.elements(step, 2, []reg{x, dst}, func(i, n int) {
		v, unstored := g.vec(), g.label("unstored")
		g.load(mem(x, 16*i), v, n)
		g.fsub(v, v, shift)
		g.exp(c, v)
		g.first(v, n)
		g.scope(func() {
			missing := g.reg()
			g.op("MOVD", "dst_base+0(FP)", missing)
			g.op("CBZ", missing, unstored)
		})
		g.store(v, mem(dst, 16*i), n)
		g.here(unstored)
		g.addDoubles(v, sums)
	})
	g.returnDoubles(sums)
}

// expFrom gives 0 for elements below limit, and for NaN.
func expFrom(g *gen) {
	g.function("expFrom", "(dst, x []float32, limit, shift, divisor float32) float64",
		"sets dst = exp((x−shift)/divisor) where x ≥ limit, else 0, and returns the sum in float64.")
	c, sums := g.expConstants(), g.zeros(2)
	limit, shift, divisor := g.broadcast("limit"), g.broadcast("shift"), g.broadcast("divisor")
	dst, x := g.ptr("dst"), g.ptr("x")
	g.elements(g.length("x"), 2, []reg{x, dst}, func(i, n int) {
		v, stays := g.vec(), g.vec()
		g.load(mem(x, 16*i), v, n)
		g.fcmge(stays, v, limit)
		g.fsub(v, v, shift)
		g.fdiv(v, v, divisor)
		g.exp(c, v)
		g.and(v, v, stays)
		g.first(v, n)
		g.store(v, mem(dst, 16*i), n)
		g.addDoubles(v, sums)
	})
	g.returnDoubles(sums)
}
