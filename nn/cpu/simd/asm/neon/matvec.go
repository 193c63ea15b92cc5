package main

import "fmt"

// block is the number of weights decoded at a time: four registers.
const (
	block = 16
	parts = block / lanes
)

// format is how a row of weights lies in memory.
type format struct {
	name, element string // of the kernels, and the Go type of w
	bits          int    // of a weight
	// decode sets dst to the block of weights at src, which moves on.
	decode func(g *gen, src reg, dst []vec)
	// single sets lane 0 of dst, and no other, to a weight; those of a byte to number i from src on, which does not move on.
	single func(g *gen, src, i reg, dst vec)
	twice  bool // both give twice the weights
}

var (
	floatFormat   = format{"float", "float32", 32, decodeFloat, singleFloat, false}
	halfFormat    = format{"half", "uint16", 16, decodeHalf, singleHalf, false}
	bfloatFormat  = format{"bfloat", "uint16", 16, decodeBfloat, singleBfloat, false}
	int8Format    = format{"int8", "int8", 8, decodeInt8, singleInt8, false}
	ternaryFormat = format{"ternary", "byte", 2, decodeTernaryTwice, singleTernaryTwice, true}
)

func matvecKernels(g *gen) {
	for _, f := range []format{floatFormat, halfFormat, bfloatFormat, int8Format, ternaryFormat} {
		f.one(g)
		f.four(g)
	}
}

// one multiplies with one vector, four rows at a time.
func (f format) one(g *gen) {
	g.function(f.name+"One", fmt.Sprintf("(y []float32, w []%s, x []float32, cols int)", f.element), "is rowKernels.one.")
	f.prepare(g)
	y, rows := g.ptr("y"), g.length("y")
	w, distance := g.ptr("w"), g.arg("cols")
	f.bytesOf(g, distance)
	for _, height := range []int{4, 1} {
		g.times(rows, height, func() {
			lines := g.lines(w, distance, height)
			cols := g.arg("cols")
			g.storeSums(f.products(g, lines, []reg{g.ptr("x")}, cols, true), y)
		})
	}
	g.end()
}

// four multiplies with four vectors, a row at a time.
func (f format) four(g *gen) {
	g.function(f.name+"Four", fmt.Sprintf("(y []float32, w []%s, x []float32, rows, cols, step int)", f.element), "is rowKernels.four.")
	f.prepare(g)
	y, rows, step := g.ptr("y"), g.arg("rows"), g.bytesArg("step", 4)
	w, distance := g.ptr("w"), g.arg("cols")
	f.bytesOf(g, distance)
	g.times(rows, 1, func() {
		cols, between := g.arg("cols"), g.bytesArg("cols", 4)
		x := g.ptr("x")
		vectors := g.lines(x, between, 4)
		sums := f.products(g, g.lines(w, distance, 1), vectors, cols, true)
		g.scatter(across(sums, g.faddp), y, step)
	})
	g.end()
}

// lines are the beginnings of n rows that lie a distance apart; first moves on behind them.
func (g *gen) lines(first, distance reg, n int) []reg {
	r := g.regs(n)
	for _, line := range r {
		g.op("MOVD", first, line)
		g.op("ADD", distance, first, first)
	}
	return r
}

// storeSums writes the sums of the lanes of four registers, or of one, to y, which moves on.
func (g *gen) storeSums(v []vec, y reg) {
	sums := across(v, g.faddp)
	if len(v) == 1 {
		g.op("FMOVS.P", sums.f(), mem(y, 4))
	} else {
		g.op("FMOVQ.P", sums.f(), mem(y, 16))
	}
}

// scatter writes four lanes to floats that lie step bytes apart, and moves to on by one float.
func (g *gen) scatter(v vec, to, step reg) {
	g.scope(func() {
		at := g.reg()
		g.op("MOVD", to, at)
		for i := range lanes {
			g.op("VST1", lane(v, i), mem(at, 0))
			if i < lanes-1 {
				g.op("ADD", step, at, at)
			}
		}
	})
	g.op("ADD", "$4", to, to)
}

func (f format) prepare(g *gen) {
	if f.bits == 2 {
		g.loadTernaryShifts()
	}
}

// bytesOf makes a number of weights one of bytes.
func (f format) bytesOf(g *gen, n reg) {
	if f.bits == 2 {
		g.op("ADD", "$3", n, n)
		g.op("LSR", "$2", n, n)
	} else if f.bits > 8 {
		g.op("LSL", imm(shiftOf(f.bits/8)), n, n)
	}
}

// products multiplies rows with vectors, several of one of the two. The result is a register to be added up for each. With
// odd, the columns need not be a multiple of a block; their number is used up.
func (f format) products(g *gen, rows, vectors []reg, cols reg, odd bool) []vec {
	n := max(len(rows), len(vectors))
	sums := make([][]vec, n)
	for i := range sums {
		sums[i] = g.zeros(parts)
	}
	g.times(cols, block, func() {
		x, w := g.vecs(parts), g.vecs(parts)
		if len(vectors) == 1 {
			g.loadBlock(vectors[0], x)
		}
		for r, from := range rows {
			f.decode(g, from, w)
			if len(vectors) == 1 {
				f.add(g, sums[r], x, w)
			}
		}
		if len(vectors) > 1 {
			for v, from := range vectors {
				g.loadBlock(from, x)
				f.add(g, sums[v], x, w)
			}
		}
	})
	if odd {
		g.scope(func() {
			i, x, w := g.reg(), g.vec(), g.vec()
			g.op("MOVD", "$0", i)
			g.times(cols, 1, func() {
				if len(vectors) == 1 {
					g.op("FMOVS.P", mem(vectors[0], 4), x.f())
				}
				for r, from := range rows {
					f.single(g, from, i, w)
					if len(vectors) == 1 {
						g.fmla(sums[r][0], x, w)
					}
				}
				if len(vectors) > 1 {
					for v, from := range vectors {
						g.op("FMOVS.P", mem(from, 4), x.f())
						g.fmla(sums[v][0], x, w)
					}
				}
				g.op("ADD", "$1", i, i)
			})
		})
	}
	var totals []vec
	for _, s := range sums {
		total := g.joined(s)
		if f.twice {
			g.fmul(total, total, g.ternary.half)
		}
		totals = append(totals, total)
	}
	return totals
}

// loadBlock reads the elements of a block, and moves on.
func (g *gen) loadBlock(from reg, x []vec) {
	for i := 0; i < len(x); i += 2 {
		g.loadPair2(from, x[i], x[i+1])
	}
}

// loadPair2 reads two registers, and moves on.
func (g *gen) loadPair2(from reg, a, b vec) {
	g.op("FLDPQ.P", mem(from, 32), fmt.Sprintf("(%s, %s)", a.f(), b.f()))
}

func (f format) add(g *gen, sums, x, w []vec) {
	for p, s := range sums {
		g.fmla(s, x[p], w[p])
	}
}

func decodeFloat(g *gen, src reg, dst []vec) { g.loadBlock(src, dst) }

func singleFloat(g *gen, src, _ reg, dst vec) { g.op("FMOVS.P", mem(src, 4), dst.f()) }

func decodeHalf(g *gen, src reg, dst []vec) {
	g.loadPair2(src, dst[0], dst[2])
	for i := 0; i < len(dst); i += 2 {
		g.widen2(dst[i+1], dst[i])
		g.widen(dst[i], dst[i])
	}
}

func singleHalf(g *gen, src, _ reg, dst vec) {
	g.scope(func() {
		bits := g.reg()
		g.op("MOVHU.P", mem(src, 2), bits)
		g.op("FMOVS", bits, dst.f())
		g.widen(dst, dst)
	})
}

func decodeBfloat(g *gen, src reg, dst []vec) {
	g.loadPair2(src, dst[0], dst[2])
	for i := 0; i < len(dst); i += 2 {
		g.shll2(dst[i+1], dst[i])
		g.shll(dst[i], dst[i])
	}
}

func singleBfloat(g *gen, src, _ reg, dst vec) {
	g.scope(func() {
		bits := g.reg()
		g.op("MOVHU.P", mem(src, 2), bits)
		g.op("LSL", imm(16), bits, bits)
		g.op("FMOVS", bits, dst.f())
	})
}

func decodeInt8(g *gen, src reg, dst []vec) {
	g.op("FMOVQ.P", mem(src, 16), dst[3].f())
	g.sshllB(dst[1], dst[3])
	g.sshll2B(dst[3], dst[3])
	g.sshllH(dst[0], dst[1])
	g.sshll2H(dst[1], dst[1])
	g.sshllH(dst[2], dst[3])
	g.sshll2H(dst[3], dst[3])
	for _, d := range dst {
		g.scvtf(d, d)
	}
}

func singleInt8(g *gen, src, _ reg, dst vec) {
	g.scope(func() {
		value := g.reg()
		g.op("MOVB.P", mem(src, 1), value)
		g.op("SCVTFWS", value, dst.f())
	})
}

// ternaryConstants are constants in registers.
type ternaryConstants struct {
	shifts []vec // that bring the code of each lane of a block up
	code   vec   // the highest bits
	half   vec
}

func (g *gen) loadTernaryShifts() {
	g.ternary = ternaryConstants{shifts: g.vecs(parts), code: g.all(3 << 30), half: g.float(0.5)}
	var words []uint32
	for i := range block {
		words = append(words, uint32(30-2*i))
	}
	g.scope(func() { g.loadBlock(g.table("ternaryShifts", words...), g.ternary.shifts) })
}

// decodeTernaryTwice sets dst to 2·Q. It brings the 32 bits of a block into all lanes and shifts each lane's code Q+1 up
// to the highest bits, which are the sign and the top of the exponent: inverted and all others cleared, codes 0, 1 and 2
// are the float32 −2, −0 and 2.
func decodeTernaryTwice(g *gen, src reg, dst []vec) {
	codes := dst[len(dst)-1]
	g.op("VLD1R.P", mem(src, 4), fmt.Sprintf("[%v.S4]", codes))
	for p, d := range dst {
		g.ushl(d, codes, g.ternary.shifts[p])
	}
	for _, d := range dst {
		g.bic(d, g.ternary.code, d)
	}
}

func singleTernaryTwice(g *gen, src, i reg, dst vec) {
	g.scope(func() {
		place, shift, code, mask := g.reg(), g.reg(), g.reg(), g.reg()
		g.op("LSR", "$2", i, place)
		g.op("MOVBU", fmt.Sprintf("(%v)(%v)", src, place), code)
		g.op("LSL", "$1", i, shift)
		g.op("AND", "$6", shift, shift)
		g.op("LSRW", shift, code, code)
		g.op("LSLW", "$30", code, code)
		g.op("MOVD", "$0xc0000000", mask)
		g.op("BICW", code, mask, mask)
		g.op("FMOVS", mask, dst.f())
	})
}
