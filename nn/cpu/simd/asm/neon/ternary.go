package main

func ternaryKernels(g *gen) {
	ternaryDecode(g)
	ternaryQuantize(g)
	decodeBlocks(g)
}

func ternaryDecode(g *gen) {
	g.function("ternaryDecode", "(dst []float32, codes []byte, scale float32)", "sets dst to scale times the weights of codes.")
	g.loadTernaryShifts()
	scale := g.broadcast("scale")
	g.fmul(scale, scale, g.ternary.half)
	dst, codes, n := g.ptr("dst"), g.ptr("codes"), g.length("dst")
	g.times(n, block, func() {
		w := g.vecs(parts)
		decodeTernaryTwice(g, codes, w)
		for i, v := range w {
			g.fmul(v, v, scale)
			if i%2 == 1 {
				g.storePair(w[i-1], v, mem(dst, 16*i-16))
			}
		}
		g.op("ADD", imm(4*block), dst, dst)
	})
	i, v := g.reg(), g.vec()
	g.op("MOVD", "$0", i)
	g.times(n, 1, func() {
		singleTernaryTwice(g, codes, i, v)
		g.fmul(v, v, scale)
		g.op("FMOVS.P", v.f(), mem(dst, 4))
		g.op("ADD", "$1", i, i)
	})
	g.end()
}

// decodeBlocks decodes one block of each row.
func decodeBlocks(g *gen) {
	g.function("decodeBlocks", "(dst *float32, dstStep int, codes *byte, codesStep, rows int)",
		"sets dst[r·dstStep+i] to weight i < 16 of codes[r·codesStep:].")
	g.loadTernaryShifts()
	dst, dstStep, codes, codesStep := g.arg("dst"), g.bytesArg("dstStep", 4), g.arg("codes"), g.arg("codesStep")
	g.repeat(g.arg("rows"), func() {
		w, at := g.vecs(parts), g.reg()
		g.op("MOVD", codes, at)
		decodeTernaryTwice(g, at, w)
		for i, v := range w {
			g.fmul(v, v, g.ternary.half)
			if i%2 == 1 {
				g.storePair(w[i-1], v, mem(dst, 16*i-16))
			}
		}
		g.op("ADD", dstStep, dst, dst)
		g.op("ADD", codesStep, codes, codes)
	})
	g.end()
}

// ternaryQuantize makes codes of comparisons with ±γ/2 (see ternary.Round), shifts those of a byte to their places, and adds
// them up.
func ternaryQuantize(g *gen) {
	g.function("ternaryQuantize", "(codes []byte, w []float32, gamma float32)", "packs the rounded w/gamma.")
	codes, w, n, half := g.ptr("codes"), g.ptr("w"), g.length("w"), g.broadcast("gamma")
	minusHalf, one, places := g.vec(), g.all(1), g.words("codePlaces", 0, 2, 4, 6)
	g.scope(func() { g.fmul(half, half, g.float(0.5)) })
	g.fneg(minusHalf, half)
	code := func(q vec) { // a comparison is −1 where it holds
		g.scope(func() {
			up := g.vec()
			g.fcmge(up, q, half)
			g.fcmge(q, minusHalf, q)
			g.add(q, q, one)
			g.sub(q, q, up)
			g.ushl(q, q, places)
		})
	}
	bytes := func(v vec) { // of four lanes
		g.xtnH(v, v)
		g.xtnB(v, v)
	}
	g.times(n, block, func() {
		v := g.vecs(parts)
		g.loadBlock(w, v)
		for _, q := range v {
			code(q)
		}
		sums := across(v, g.addp)
		bytes(sums)
		g.op("FMOVS.P", sums.f(), mem(codes, 4))
	})
	// One byte at a time, of which the last may have less than four weights; code 1 is that of 0.
	last := func(load func(v vec)) {
		v, packed := g.vec(), g.reg()
		load(v)
		code(v)
		sums := across([]vec{v}, g.addp)
		g.op("FMOVS", sums.f(), packed)
		g.op("MOVB.P", packed, mem(codes, 1))
	}
	g.times(n, lanes, func() { last(func(v vec) { g.op("FMOVQ.P", mem(w, 16), v.f()) }) })
	done := g.label("whole")
	g.op("CBZ", n, done)
	last(func(v vec) {
		g.zero(v)
		for i := range lanes - 1 {
			loaded := g.label("loaded")
			g.op("CMP", imm(i), n)
			g.op("BLE", loaded)
			g.op("VLD1.P", mem(w, 4), lane(v, i))
			g.here(loaded)
		}
	})
	g.here(done)
	g.end()
}
