package main

// halfKernels emits the kernels for vectors in float16; sums and factors are float32.
func halfKernels(g *gen) {
	dotHalf(g)
	axpyHalf(g)
	widen(g)
	narrow(g)
	dequantize(g)
}

func dotHalf(g *gen) {
	g.function("dotHalf", "(x []float32, y []uint16) float32", "is Σ x·y.")
	x, y, n, sums := g.ptr("x"), g.ptr("y"), g.length("x"), g.zeros(chains)
	g.elements(n, chains, []reg{x}, func(i, n int) {
		u, v := g.vec(), g.vec()
		g.load(mem(x, 16*i), u, n)
		g.loadHalf(y, v, n)
		g.fmla(sums[i], u, v)
	})
	g.returnSum(sums)
}

func axpyHalf(g *gen) {
	g.function("axpyHalf", "(alpha float32, x []uint16, y []float32)", "adds alpha·x to y.")
	x, y, n, alpha := g.ptr("x"), g.ptr("y"), g.length("y"), g.broadcast("alpha")
	g.elements(n, 4, []reg{y}, func(i, n int) {
		u, v := g.vec(), g.vec()
		g.loadHalf(x, u, n)
		g.load(mem(y, 16*i), v, n)
		g.fmla(v, u, alpha)
		g.store(v, mem(y, 16*i), n)
	})
	g.end()
}

func widen(g *gen) {
	g.function("widen", "(dst []float32, src []uint16)", "sets dst = src.")
	dst, src, n := g.ptr("dst"), g.ptr("src"), g.length("src")
	g.elements(n, 4, []reg{dst}, func(i, n int) {
		v := g.vec()
		g.loadHalf(src, v, n)
		g.store(v, mem(dst, 16*i), n)
	})
	g.end()
}

func narrow(g *gen) {
	g.function("narrow", "(dst []uint16, src []float32)", "sets dst = src, rounded to the nearest, halves to even.")
	dst, src, n := g.ptr("dst"), g.ptr("src"), g.length("src")
	g.elements(n, 4, []reg{src}, func(i, n int) {
		v := g.vec()
		g.load(mem(src, 16*i), v, n)
		g.narrow(v, v)
		if n == lanes {
			g.op("FMOVD.P", v.f(), mem(dst, 8))
			return
		}
		bits := g.reg()
		g.op("FMOVS", v.f(), bits)
		g.op("MOVH.P", bits, mem(dst, 2))
	})
	g.end()
}

// dequantize takes 16 numbers, which have one scale and one minimum, at a time.
func dequantize(g *gen) {
	g.function("dequantize", "(dst []float32, q []byte, scales, minima []float32, centre float32)", "is kernels.dequantize.")
	dst, q, scales, minima := g.ptr("dst"), g.ptr("q"), g.ptr("scales"), g.ptr("minima")
	n, centre, scale, minimum, numbers, out := g.length("scales"), g.broadcast("centre"), g.vec(), g.vec(), g.vecs(block/lanes), g.vec()
	g.times(n, 1, func() {
		g.op("FMOVS.P", mem(scales, 4), scale.f())
		g.op("FMOVS.P", mem(minima, 4), minimum.f())
		g.dup(minimum, minimum, 0)
		g.fneg(minimum, minimum)
		decodeInt8(g, q, numbers)
		for _, v := range numbers {
			g.fsub(v, v, centre)
			g.move(out, minimum)
			g.fmlaLane(out, v, scale, 0)
			g.op("FMOVQ.P", out.f(), mem(dst, 16))
		}
	})
	g.end()
}

// loadHalf reads n lanes, four or one, of float16, and moves on; the others become 0 and are not touched in memory.
func (g *gen) loadHalf(src reg, dst vec, n int) {
	if n == lanes {
		g.op("FMOVD.P", mem(src, 8), dst.f())
		g.widen(dst, dst)
		return
	}
	singleHalf(g, src, 0, dst)
}
