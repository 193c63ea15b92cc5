package main

import "math"

func reductions(g *gen) {
	g.sum("dot", "(x, y []float32) float32", "is Σ x·y.", []string{"x", "y"},
		func(v []vec, sum vec) { g.fmla(sum, v[0], v[1]) })
	g.sum("sumSquares", "(x []float32) float32", "is Σ x².", []string{"x"},
		func(v []vec, sum vec) { g.fmla(sum, v[0], v[0]) })
	g.sum("dot3", "(x, y, z []float32) float32", "is Σ x·y·z.", []string{"x", "y", "z"},
		func(v []vec, sum vec) {
			g.fmul(v[0], v[0], v[1])
			g.fmla(sum, v[0], v[2])
		})
	maximum(g)
}

// chains is the number of independent sums that hide the latency of an addition.
const chains = 4

// sum emits a kernel that adds a term for each element. body adds the terms of one vector of each input to a register.
func (g *gen) sum(name, signature, doc string, inputs []string, body func(v []vec, sum vec)) {
	g.function(name, signature, doc)
	pointers, all := g.pointers(inputs)
	sums := g.zeros(chains)
	g.elements(g.length(inputs[0]), chains, all, func(i, n int) {
		v := g.vecs(len(inputs))
		for k, name := range inputs {
			g.load(mem(pointers[name], 16*i), v[k], n)
		}
		body(v, sums[i])
	})
	g.returnSum(sums)
}

func (g *gen) zeros(n int) []vec {
	v := g.vecs(n)
	for _, z := range v {
		g.zero(z)
	}
	return v
}

// returnSum adds up the lanes of registers, and ends the kernel.
func (g *gen) returnSum(sums []vec) {
	total := g.joined(sums)
	g.faddp(total, total, total)
	g.faddp(total, total, total)
	g.op("FMOVS", total.f(), g.result)
	g.end()
}

// joined adds registers up, into the first: neighbours, then neighbours of those.
func (g *gen) joined(v []vec) vec {
	for step := 1; step < len(v); step *= 2 {
		for i := 0; i+step < len(v); i += 2 * step {
			g.fadd(v[i], v[i], v[i+step])
		}
	}
	return v[0]
}

// across adds up the lanes of each of four registers, or of one, by an addition of neighbours; the sums are lanes of the
// first, or lane 0. Each is added up in the same order in both cases.
func across(v []vec, pairs func(d, n, m vec)) vec {
	if len(v) == 1 {
		pairs(v[0], v[0], v[0])
		pairs(v[0], v[0], v[0])
		return v[0]
	}
	pairs(v[0], v[0], v[1])
	pairs(v[2], v[2], v[3])
	pairs(v[0], v[0], v[2])
	return v[0]
}

// addDoubles adds the lanes of v, made float64, to two registers.
func (g *gen) addDoubles(v vec, sums []vec) {
	g.scope(func() {
		low, high := g.vec(), g.vec()
		g.doubles(low, v)
		g.doubles2(high, v)
		g.faddD(sums[0], sums[0], low)
		g.faddD(sums[1], sums[1], high)
	})
}

// returnDoubles ends a kernel whose sums addDoubles made.
func (g *gen) returnDoubles(sums []vec) {
	g.faddD(sums[0], sums[0], sums[1])
	g.faddpD(sums[0], sums[0])
	g.op("FMOVD", sums[0].f(), g.result)
	g.end()
}

// larger keeps in largest what is larger there; a comparison with NaN keeps what was there.
func (g *gen) larger(largest, v vec) {
	g.scope(func() {
		mask := g.vec()
		g.fcmgt(mask, v, largest)
		g.bit(largest, v, mask)
	})
}

// maximum begins with the first element in all lanes.
func maximum(g *gen) {
	g.function("maximum", "(x []float32) float32", "is the largest element of x, which is not empty.")
	x, n, largest := g.ptr("x"), g.length("x"), g.vecs(2)
	g.op("FMOVS", mem(x, 0), largest[0].f())
	g.dup(largest[0], largest[0], 0)
	g.move(largest[1], largest[0])
	g.largest(x, n, largest, func(vec) {})
}

// largest ends a kernel that looks for the largest element, after change.
func (g *gen) largest(x, n reg, largest []vec, change func(v vec)) {
	g.elements(n, len(largest), []reg{x}, func(i, n int) {
		v := g.vec()
		g.load(mem(x, 16*i), v, n)
		if n == 1 { // the other lanes are not meant
			g.dup(v, v, 0)
		}
		change(v)
		g.larger(largest[i], v)
	})
	g.larger(largest[0], largest[1])
	for lane := 1; lane < lanes; lane++ {
		g.dup(largest[1], largest[0], lane)
		g.larger(largest[0], largest[1])
	}
	g.op("FMOVS", largest[0].f(), g.result)
	g.end()
}

// measureKernels has as many independent multiply-adds as keep all units busy.
func measureKernels(g *gen) {
	const independent = 24
	g.function("fmaLoop", "(n int) int", "does n rounds of independent multiply-adds and returns their number in one round.")
	n, sums, factor := g.arg("n"), g.zeros(independent), g.vec()
	g.zero(factor)
	g.repeat(n, func() {
		for _, s := range sums {
			g.fmla(s, factor, factor)
		}
	})
	count := g.reg()
	g.op("MOVD", imm(independent*lanes), count)
	g.op("MOVD", count, g.result)
	g.end()
}

// expConstants are those of the exponential, in registers.
type expConstants struct {
	lowest, highest, whole, log2e, ln2, ln2Rest, bias, one vec
	taylor                                                 []vec // of degree 2 on; one is that of 0 and 1
}

// The bounds of the exponential, as in package simd.
const (
	expLowest  = -87.33
	expHighest = 88.37
)

func (g *gen) expConstants() expConstants {
	upper := float64(float32(math.Ln2))
	c := expConstants{
		lowest: g.float(expLowest), highest: g.float(expHighest),
		whole: g.float(3 << 22), log2e: g.float(math.Log2E), ln2: g.float(upper), ln2Rest: g.float(math.Ln2 - upper),
		bias: g.all(127 << 23), one: g.float(1),
	}
	inverse := 1.0 // of a factorial
	for i := 2; i <= 7; i++ {
		inverse /= float64(i)
		c.taylor = append(c.taylor, g.float(inverse))
	}
	return c
}
