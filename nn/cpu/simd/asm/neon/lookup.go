package main

import "fmt"

// lookupKernels emits products that look sums of two weights up. They are whole numbers in four planes of 6 bits, so that
// four of a plane's have room in a byte. A line of 32 rows is two registers.
func lookupKernels(g *gen) {
	interleave(g)
	splitNibbles(g)
	lookupTables(g)
	lookupVector(g)
	for _, blocks := range []int{1, 4} {
		lookupProducts(g, blocks)
	}
}

const (
	lookupRows   = 32
	lookupPlanes = 4
	planeBits    = 6
	lookupBits   = 22                // of an element, without its sign
	tableBytes   = 16 * lookupPlanes // of two columns
)

// interleave turns squares of 16 rows and columns around, of the rows of one register of a line after those of the other.
// A stage puts the bytes of each two registers whose numbers differ by eight by turns; four of them exchange the number of
// a register with that of a byte.
func interleave(g *gen) {
	g.function("interleave", "(dst, src *byte, stride, blocks int)", "is lookupKernels.interleave.")
	dst, src, stride := g.arg("dst"), g.arg("src"), g.arg("stride")
	g.repeat(g.arg("blocks"), func() {
		for half := range 2 {
			g.scope(func() {
				v, spare, at := g.vecs(16), g.vec(), g.reg()
				for p, line := range v {
					g.op("MOVD", imm(rowOfPlace(p)+4*half), at)
					g.op("MUL", stride, at, at)
					g.op("ADD", src, at, at)
					g.op("FMOVQ", mem(at, 0), line.f())
				}
				for range 4 {
					next := make([]vec, 0, len(v))
					for i := range 8 {
						a, b := v[i], v[i+8]
						g.zip1B(spare, a, b)
						g.zip2B(b, a, b)
						next = append(next, spare, b)
						spare = a
					}
					v = next
				}
				for c, line := range v {
					g.op("FMOVQ", line.f(), mem(dst, c*lookupRows+16*half))
				}
			})
		}
		g.op("ADD", "$16", src, src)
		g.op("ADD", imm(16*lookupRows), dst, dst)
	})
	g.end()
}

// rowOfPlace is the row whose bytes come to a place of the first register; that of the other is 4 rows on. Sums of even
// places and of odd ones are then fours of rows in their order.
func rowOfPlace(p int) int { return p/2%4 + p/8*8 + p%2*16 }

func splitNibbles(g *gen) {
	g.function("splitNibbles", "(dst, src *byte, columns, blocks, stride int)", "is lookupKernels.split.")
	dst, src, blocks, stride, step, mask := g.arg("dst"), g.arg("src"), g.arg("blocks"), g.arg("stride"), g.reg(), g.all(0x0f0f0f0f)
	g.op("LSL", "$5", blocks, step)
	g.repeat(blocks, func() {
		from, to, left, v := g.reg(), g.reg(), g.arg("columns"), g.vecs(4)
		g.op("MOVD", src, from)
		g.op("MOVD", dst, to)
		g.repeat(left, func() {
			g.loadPair2(from, v[2], v[3])
			for i := range 2 {
				g.and(v[i], v[2+i], mask)
				g.ushrB(v[2+i], v[2+i], 4)
			}
			for i := 0; i < len(v); i += 2 {
				g.storePair(v[i], v[i+1], mem(to, 0))
				g.op("ADD", step, to, to)
			}
		})
		g.op("ADD", stride, src, src)
		g.op("ADD", imm(lookupRows), dst, dst)
	})
	g.end()
}

// lookupTables writes, for each two columns, the sums that the 16 values of their codes stand for: the first column's code
// is in the lower bits. They are whole numbers from 0 on, in four planes of 6 bits, lowest first.
func lookupTables(g *gen) {
	g.function("lookupTables", "(dst *byte, x *float32, scale float32, eights int)", "is lookupKernels.tables.")
	dst, x, scale := g.arg("dst"), g.arg("x"), g.broadcast("scale")
	const minusOne = 1<<32 - 1
	signs, bias, bits := g.words("lookupSigns", minusOne, 0, 1, 1), g.all(2<<lookupBits), g.all(0x3f3f3f3f)
	most, least := g.all(1<<lookupBits-1), g.all(1<<32-(1<<lookupBits-1))
	g.repeat(g.arg("eights"), func() {
		whole := g.vecs(2)
		g.loadPair2(x, whole[0], whole[1])
		for _, q := range whole {
			g.fmul(q, q, scale)
			g.fcvtns(q, q)
			g.smin(q, q, most)
			g.smax(q, q, least)
		}
		for pair := range 4 {
			g.scope(func() {
				q, lane, second := whole[pair/2], pair%2*2, g.vec()
				sums := g.vecs(3) // by the second column's code, of which 3 is 2
				g.mulLane(sums[1], signs, q, lane)
				g.add(sums[1], sums[1], bias)
				g.dup(second, q, lane+1)
				g.sub(sums[0], sums[1], second)
				g.add(sums[2], sums[1], second)
				for _, s := range sums { // its 6 bits become those of bytes
					g.ushr(second, s, 2*planeBits)
					g.sli(s, second, 16)
					g.ushrH(second, s, planeBits)
					g.sliH(s, second, 8)
					g.and(s, s, bits)
				}
				even, odd := g.vecs(2), g.vecs(2)
				for i, upper := range []vec{sums[1], sums[2]} {
					g.uzp1B(even[i], sums[2*i], upper)
					g.uzp2B(odd[i], sums[2*i], upper)
				}
				planes := g.vecs(4)
				g.uzp1B(planes[0], even[0], even[1])
				g.uzp1B(planes[1], odd[0], odd[1])
				g.uzp2B(planes[2], even[0], even[1])
				g.uzp2B(planes[3], odd[0], odd[1])
				g.storePair(planes[0], planes[1], mem(dst, 0))
				g.storePair(planes[2], planes[3], mem(dst, 32))
				g.op("ADD", imm(tableBytes), dst, dst)
			})
		}
	})
	g.end()
}

// lookupWords are the sums of a plane's bytes of one register of a line, in 16 bits: of all bytes, in which only the upper
// ones are lost, and of the upper ones.
type lookupWords struct{ all, upper vec }

// lookup adds to words, by plane and register, what the nibbles in indices, by step and register, find in four tables.
func lookup(g *gen, words [][]lookupWords, tables reg, indices [][]vec) {
	for plane, planeWords := range words {
		g.scope(func() {
			found, table, more := g.vecs(2), g.vec(), g.vec()
			for i, index := range indices {
				g.op("FMOVQ", mem(tables, tableBytes*i+16*plane), table.f())
				for r, f := range found {
					if i == 0 {
						g.look(f, table, index[r])
						continue
					}
					g.look(more, table, index[r])
					g.addB(f, f, more)
				}
			}
			for r, w := range planeWords {
				g.addH(w.all, w.all, found[r])
				g.usraH(w.upper, found[r], 8)
			}
		})
	}
	g.op("ADD", imm(len(indices)*tableBytes), tables, tables)
}

func newLookupWords(g *gen) [][]lookupWords {
	words := make([][]lookupWords, lookupPlanes)
	for p := range words {
		for range 2 {
			z := g.zeros(2)
			words[p] = append(words[p], lookupWords{z[0], z[1]})
		}
	}
	return words
}

// lookupVector multiplies with one vector, without a room for nibbles.
func lookupVector(g *gen) {
	g.function("lookupVector", "(y *float32, codes, tables, scales *byte, units *float32, chunks, fours int)", "is lookupKernels.vector.")
	y, codes, tables, scales, units := g.arg("y"), g.arg("codes"), g.arg("tables"), g.arg("scales"), g.arg("units")
	g.repeat(g.arg("chunks"), func() {
		words := newLookupWords(g)
		g.repeat(g.arg("fours"), func() {
			indices := [][]vec{g.vecs(2), g.vecs(2), g.vecs(2), g.vecs(2)}
			g.scope(func() {
				nibble := g.all(0x0f0f0f0f)
				for line := 0; line < 4; line += 2 {
					low, high := indices[line], indices[line+1]
					g.loadPair2(codes, high[0], high[1])
					for r := range low {
						g.and(low[r], high[r], nibble)
						g.ushrB(high[r], high[r], 4)
					}
				}
			})
			lookup(g, words, tables, indices)
		})
		unit := g.vec()
		g.op("FMOVS.P", mem(units, 4), unit.f())
		lookupEnd(g, words, y, scales, unit)
		g.op("ADD", imm(2*lookupRows), scales, scales)
	})
	g.end()
}

// lookupProducts takes one block of rows after the other; its tables stay in the nearest cache.
func lookupProducts(g *gen, blocks int) {
	g.function(fmt.Sprintf("lookupProducts%d", blocks), "(y *float32, nibbles, tables, scales *byte, scaleStep int, unit float32, fours int, room *byte)",
		"is one of lookupKernels.products.")
	y, nibbles, scales, scaleStep, count := g.arg("y"), g.arg("nibbles"), g.arg("scales"), g.arg("scaleStep"), g.reg()
	g.op("MOVD", imm(blocks), count)
	g.repeat(count, func() {
		words, at, tables := newLookupWords(g), g.reg(), g.arg("tables")
		g.op("MOVD", nibbles, at)
		g.repeat(g.arg("fours"), func() {
			indices := [][]vec{g.vecs(2), g.vecs(2), g.vecs(2), g.vecs(2)}
			for i, index := range indices {
				g.loadPair(mem(at, i*blocks*lookupRows), index[0], index[1])
			}
			g.op("ADD", imm(4*blocks*lookupRows), at, at)
			lookup(g, words, tables, indices)
		})
		unit := g.vec()
		g.broadcastInto("unit", unit)
		lookupEnd(g, words, y, scales, unit)
		g.op("ADD", imm(4*lookupRows), y, y)
		g.op("ADD", imm(lookupRows), nibbles, nibbles)
		g.op("ADD", scaleStep, scales, scales)
	})
	g.end()
}

// lookupEnd adds to 32 elements of y floats of planes' sums, times the rows' scales and lane 0 of unit. The bias is taken
// from the kernel's argument fours.
func lookupEnd(g *gen, words [][]lookupWords, y, scales reg, unit vec) {
	for _, plane := range words { // sums of even places in all, rows 0 to 15, and those of odd ones in upper
		for _, w := range plane {
			g.scope(func() {
				shifted := g.vec()
				g.shlH(shifted, w.upper, 8)
				g.subH(w.all, w.all, shifted)
			})
		}
	}
	bias := g.vec()
	g.scope(func() {
		fours := g.arg("fours")
		g.op("LSL", imm(2+lookupBits+1), fours, fours) // four lookups each, of 2²³ too much
		g.dupWord(bias, fours)
	})
	for r := range 2 {
		g.scope(func() {
			factors := g.vecs(2) // of even places, of odd ones
			g.op("FMOVQ", mem(scales, 16*r), factors[0].f())
			g.op("FMOVQ", mem(scales, lookupRows+16*r), factors[1].f())
			g.scope(func() {
				lower := g.vec()
				g.move(lower, factors[0])
				g.sliH(factors[0], factors[1], 8)
				g.sriH(factors[1], lower, 8)
			})
			for odd, factor := range factors {
				sum := func(plane int) vec {
					if odd == 1 {
						return words[plane][r].upper
					}
					return words[plane][r].all
				}
				for part := range 2 {
					at := mem(y, 64*odd+32*part+16*r)
					g.scope(func() { lookupFour(g, sum, part, factor, bias, unit, at) })
				}
			}
		})
	}
}

// lookupFour adds to four elements of y.
func lookupFour(g *gen, sum func(plane int) vec, part int, factor, bias, unit vec, at string) {
	low, high, scale := g.vec(), g.vec(), g.vec()
	longer, plus, widen := g.ushllH, g.uaddwH, g.widen
	if part == 1 {
		longer, plus, widen = g.ushll2H, g.uaddw2H, g.widen2
	}
	longer(high, sum(3), planeBits)
	plus(high, high, sum(2))
	g.shl(high, high, 2*planeBits)
	longer(low, sum(1), planeBits)
	plus(low, low, sum(0))
	g.add(low, low, high)
	g.sub(low, low, bias)
	g.scvtf(low, low)
	widen(scale, factor)
	g.fmulLane(scale, scale, unit, 0)
	g.op("FMOVQ", at, high.f())
	g.fmla(high, low, scale)
	g.op("FMOVQ", high.f(), at)
}
