package main

func vectorKernels(g *gen) {
	reductions(g)
	elementwise(g)
	ger(g)
	adamW(g)
	magnitudes(g)
}

func elementwise(g *gen) {
	g.each("axpy", "(alpha float32, x, y []float32)", "adds alpha·x to y.",
		[]string{"alpha"}, []string{"x", "y"}, []string{"y"}, 4,
		func(s, v []vec) []vec {
			g.fmla(v[1], v[0], s[0])
			return v[1:]
		})
	g.each("scale", "(alpha float32, x []float32)", "multiplies x by alpha.",
		[]string{"alpha"}, []string{"x"}, []string{"x"}, 4,
		func(s, v []vec) []vec {
			g.fmul(v[0], v[0], s[0])
			return v
		})
	g.each("add", "(dst, a, b []float32)", "sets dst = a + b.",
		nil, []string{"a", "b"}, []string{"dst"}, 4,
		func(_, v []vec) []vec {
			g.fadd(v[0], v[0], v[1])
			return v[:1]
		})
	g.each("mul", "(dst, a, b []float32)", "sets dst = a·b, element by element.",
		nil, []string{"a", "b"}, []string{"dst"}, 4,
		func(_, v []vec) []vec {
			g.fmul(v[0], v[0], v[1])
			return v[:1]
		})
	g.each("mulAdd", "(dst, a, b []float32)", "adds a·b to dst, element by element.",
		nil, []string{"dst", "a", "b"}, []string{"dst"}, 4,
		func(_, v []vec) []vec {
			g.fmla(v[0], v[1], v[2])
			return v[:1]
		})
	g.each("scaledMul", "(dst []float32, alpha float32, a, b []float32)", "sets dst = alpha·a·b, element by element.",
		[]string{"alpha"}, []string{"a", "b"}, []string{"dst"}, 4,
		func(s, v []vec) []vec {
			g.fmul(v[0], v[0], s[0])
			g.fmul(v[0], v[0], v[1])
			return v[:1]
		})
	g.each("rmsNormBackward", "(dx, dgain, dy, x, gain []float32, rstd, pull float32)",
		"adds dy·gain·rstd − x·pull to dx and dy·x·rstd to dgain.",
		[]string{"rstd", "pull"}, []string{"dx", "dgain", "dy", "x", "gain"}, []string{"dx", "dgain"}, 2,
		func(s, v []vec) []vec {
			dx, dgain, dy, x, gain := v[0], v[1], v[2], v[3], v[4]
			g.fmul(dy, dy, s[0])
			g.fmla(dgain, dy, x)
			g.fmla(dx, dy, gain)
			g.fmls(dx, x, s[1])
			return []vec{dx, dgain}
		})
}

// each emits a kernel that works on one element of every slice at a time. body gets the scalars, in all lanes, and a
// vector of each input, and returns one for each output.
func (g *gen) each(name, signature, doc string, scalars, inputs, outputs []string, unroll int, body func(scalars, vectors []vec) []vec) {
	g.function(name, signature, doc)
	g.rest(scalars, inputs, outputs, unroll, body)
}

// rest is each of a function that has begun.
func (g *gen) rest(scalars, inputs, outputs []string, unroll int, body func(scalars, vectors []vec) []vec) {
	pointers, all := g.pointers(inputs, outputs)
	var broadcast []vec
	for _, s := range scalars {
		broadcast = append(broadcast, g.broadcast(s))
	}
	g.elements(g.length(outputs[0]), unroll, all, func(i, n int) {
		v := g.vecs(len(inputs))
		for k, name := range inputs {
			g.load(mem(pointers[name], 16*i), v[k], n)
		}
		for k, result := range body(broadcast, v) {
			g.store(result, mem(pointers[outputs[k]], 16*i), n)
		}
	})
	g.end()
}

// pointers has one for each name.
func (g *gen) pointers(lists ...[]string) (byName map[string]reg, all []reg) {
	byName = make(map[string]reg)
	for _, list := range lists {
		for _, name := range list {
			if _, ok := byName[name]; !ok {
				byName[name] = g.ptr(name)
				all = append(all, byName[name])
			}
		}
	}
	return byName, all
}

// ger adds alpha·e·kᵀ to the rows of w, a row at a time.
func ger(g *gen) {
	g.function("ger", "(w []float32, alpha float32, e, k []float32)", "adds alpha·e·kᵀ to w.")
	w, e, rows, alpha := g.ptr("w"), g.ptr("e"), g.length("e"), g.broadcast("alpha")
	g.repeat(rows, func() {
		factor := g.vec()
		g.op("FMOVS.P", mem(e, 4), factor.f())
		g.fmulLane(factor, alpha, factor, 0)
		k := g.ptr("k")
		g.elements(g.length("k"), 4, []reg{w, k}, func(i, n int) {
			row, key := g.vec(), g.vec()
			g.load(mem(w, 16*i), row, n)
			g.load(mem(k, 16*i), key, n)
			g.fmla(row, key, factor)
			g.store(row, mem(w, 16*i), n)
		})
	})
	g.end()
}

func adamW(g *gen) {
	g.each("adamW", "(w, g, m, v []float32, gscale, keep1, add1, keep2, add2, invC2, eps, rate, shrink float32)",
		"does one step of AdamW; see adamWScalar.",
		[]string{"gscale", "keep1", "add1", "keep2", "add2", "invC2", "eps", "rate", "shrink"},
		[]string{"w", "g", "m", "v"}, []string{"w", "m", "v"}, 2,
		func(s, x []vec) []vec {
			gscale, keep1, add1, keep2, add2, invC2, eps, rate, shrink := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]
			w, grad, m, v := x[0], x[1], x[2], x[3]
			g.fmul(grad, grad, gscale)
			g.fmul(m, m, keep1)
			g.fmla(m, grad, add1)
			g.fmul(grad, grad, grad)
			g.fmul(v, v, keep2)
			g.fmla(v, grad, add2)
			root, step := g.vec(), g.vec()
			g.fmul(root, v, invC2)
			g.fsqrt(root, root)
			g.fadd(root, root, eps)
			g.fmul(step, m, rate)
			g.fdiv(step, step, root)
			g.fmls(w, w, shrink)
			g.fsub(w, w, step)
			return []vec{w, m, v}
		})
}

// magnitudes is as that of AVX.
func magnitudes(g *gen) {
	g.function("magnitudes", "(w []float32, totals *float64, least, most *uint32)", "is kernels.magnitudes.")
	w, n := g.ptr("w"), g.length("w")
	sums, most, least, ones := g.zeros(4), g.vec(), g.vec(), g.all(1<<32-1)
	g.zero(most)
	g.move(least, ones)
	g.times(n, 2*lanes, func() {
		v := g.vecs(2)
		g.loadPair2(w, v[0], v[1])
		for i, v := range v {
			g.fabs(v, v)
			g.addDoubles(v, sums[2*i:2*i+2])
			g.umax(most, most, v)
			g.add(v, v, ones) // 0 becomes the largest number
			g.umin(least, least, v)
		}
	})
	g.faddD(sums[0], sums[0], sums[1])
	g.faddD(sums[2], sums[2], sums[3])
	g.faddD(sums[0], sums[0], sums[2])
	g.op("FMOVQ", sums[0].f(), mem(g.arg("totals"), 0))
	g.op("FMOVQ", least.f(), mem(g.arg("least"), 0))
	g.op("FMOVQ", most.f(), mem(g.arg("most"), 0))
	g.end()
}
