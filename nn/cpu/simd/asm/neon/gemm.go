package main

import "fmt"

// A tile of Gemm is four registers wide; the highest leaves eight for a row of B and a column of A.
const (
	tileWidth     = 4
	highestTile   = 6
	tileSignature = "(k int, a *float32, aRow, aStep int, b *float32, bStep int, c *float32, cRow, cols int, alpha, beta float32)"
)

func gemmKernels(g *gen) {
	for _, h := range []int{highestTile, 4, 2, 1} {
		tile(g, h)
	}
	transpose(g)
	gather(g)
	substitute(g)
}

// tile has a loop for columns of A that lie in one piece, as packed ones do, and one for any.
func tile(g *gen, height int) {
	g.function(fmt.Sprintf("tile%d", height), tileSignature, fmt.Sprintf("is a tileFunc of %d rows.", height))
	k, a, aRow, aStep := g.arg("k"), g.arg("a"), g.arg("aRow"), g.bytesArg("aStep", 4)
	b, bStep := g.arg("b"), g.bytesArg("bStep", 4)
	sums := make([][]vec, height)
	for i := range sums {
		sums[i] = g.zeros(tileWidth)
	}
	row := g.vecs(tileWidth)
	loadRow := func() {
		g.loadPair(mem(b, 0), row[0], row[1])
		g.loadPair(mem(b, 32), row[2], row[3])
		g.op("ADD", bStep, b, b)
	}
	add := func(i int, element vec, lane int) {
		for v, s := range sums[i] {
			g.fmlaLane(s, row[v], element, lane)
		}
	}
	apart, done := g.label("apart"), g.label("summed")
	if height > 1 {
		g.op("CMP", imm(1), aRow)
		g.op("BNE", apart)
		g.repeat(k, func() {
			column := g.vecs((height + lanes - 1) / lanes)
			for i, v := range column {
				switch left := height - lanes*i; {
				case left >= lanes:
					g.op("FMOVQ", mem(a, 16*i), v.f())
				case left == 2:
					g.op("FMOVD", mem(a, 16*i), v.f())
				}
			}
			loadRow()
			g.op("ADD", aStep, a, a)
			for i := range height {
				add(i, column[i/lanes], i%lanes)
			}
		})
		g.op("B", done)
		g.here(apart)
		g.op("LSL", "$2", aRow, aRow)
	}
	g.scope(func() {
		rows := []reg{a}
		for len(rows) < height {
			next := g.reg()
			g.op("ADD", aRow, rows[len(rows)-1], next)
			rows = append(rows, next)
		}
		g.repeat(k, func() {
			loadRow()
			element := g.vec()
			for i, r := range rows {
				g.op("FMOVS", mem(r, 0), element.f())
				g.op("ADD", aStep, r, r)
				add(i, element, 0)
			}
		})
	})
	g.here(done)
	storeTile(g, sums, row)
}

// storeTile ends a tile: C = alpha·sums + beta·C, or C = alpha·sums if beta is 0. A tile with fewer columns goes to the
// stack, and from there one element at a time, by the same operations.
func storeTile(g *gen, sums [][]vec, free []vec) {
	g.regs0 = 0
	c, cRow, cols, beta := g.arg("c"), g.bytesArg("cRow", 4), g.arg("cols"), g.reg()
	factor, old := free[0], free[1]
	g.broadcastInto("alpha", factor)
	for _, row := range sums {
		for _, s := range row {
			g.fmul(s, s, factor)
		}
	}
	g.broadcastInto("beta", factor)
	g.op("FMOVS", factor.f(), beta)
	g.op("LSLW", "$1", beta, beta) // drops the sign: −0 is 0 too
	narrow, overwrite := g.label("narrow"), g.label("overwrite")
	g.op("CMP", imm(tileWidth*lanes), cols)
	g.op("BNE", narrow)
	for _, withBeta := range []bool{true, false} {
		if withBeta {
			g.op("CBZW", beta, overwrite)
		} else {
			g.here(overwrite)
		}
		for _, row := range sums {
			for v, s := range row {
				if withBeta {
					g.load(mem(c, 16*v), old, lanes)
					g.fmla(s, old, factor)
				}
				g.store(s, mem(c, 16*v), lanes)
			}
			g.op("ADD", cRow, c, c)
		}
		g.op("RET")
	}
	g.here(narrow)
	room, rows := g.local(len(sums)*tileWidth*16), g.reg()
	for i, row := range sums {
		for v, s := range row {
			g.store(s, mem(room, (i*tileWidth+v)*16), lanes)
		}
	}
	g.op("MOVD", imm(len(sums)), rows)
	g.repeat(rows, func() {
		from, to, left, sum := g.reg(), g.reg(), g.reg(), free[2]
		g.op("MOVD", room, from)
		g.op("MOVD", c, to)
		g.op("MOVD", cols, left)
		g.repeat(left, func() {
			plain := g.label("plain")
			g.op("FMOVS.P", mem(from, 4), sum.f())
			g.op("CBZW", beta, plain)
			g.op("FMOVS", mem(to, 0), old.f())
			g.fmla(sum, old, factor)
			g.here(plain)
			g.op("FMOVS.P", sum.f(), mem(to, 4))
		})
		g.op("ADD", imm(tileWidth*16), room, room)
		g.op("ADD", cRow, c, c)
	})
	g.end()
}

const panelSignature = "(dst *float32, dstStep int, src *float32, srcStep, rows, cols int)"

// gather copies the beginnings of lines, of up to panelLanes elements.
func gather(g *gen) {
	g.function("gather", panelSignature, "sets dst[c·dstStep+r] = src[c·srcStep+r] for r < rows.")
	dst, dstStep, src, srcStep := g.arg("dst"), g.bytesArg("dstStep", 4), g.arg("src"), g.bytesArg("srcStep", 4)
	rows, cols := g.arg("rows"), g.arg("cols")
	g.repeat(cols, func() {
		from, to, v := g.reg(), g.reg(), g.vecs(4)
		g.op("MOVD", src, from)
		g.op("MOVD", dst, to)
		for bit := 4; bit >= 0; bit-- {
			without := g.label("without")
			g.op("TBZ", imm(bit), rows, without)
			switch bit {
			case 4:
				for i := 0; i < 4; i += 2 {
					g.op("FLDPQ.P", mem(from, 32), fmt.Sprintf("(%s, %s)", v[i].f(), v[i+1].f()))
					g.op("FSTPQ.P", fmt.Sprintf("(%s, %s)", v[i].f(), v[i+1].f()), mem(to, 32))
				}
			case 3:
				g.op("FLDPQ.P", mem(from, 32), fmt.Sprintf("(%s, %s)", v[0].f(), v[1].f()))
				g.op("FSTPQ.P", fmt.Sprintf("(%s, %s)", v[0].f(), v[1].f()), mem(to, 32))
			default:
				move := []string{"FMOVS.P", "FMOVD.P", "FMOVQ.P"}[bit]
				g.op(move, mem(from, 4<<bit), v[0].f())
				g.op(move, v[0].f(), mem(to, 4<<bit))
			}
			g.here(without)
		}
		g.op("ADD", srcStep, src, src)
		g.op("ADD", dstStep, dst, dst)
	})
	g.end()
}

// transpose takes four rows at a time, then two, then one.
func transpose(g *gen) {
	g.function("transpose", panelSignature, "sets dst[c·dstStep+r] = src[r·srcStep+c] for r < rows.")
	dst, dstStep, src, srcStep := g.arg("dst"), g.bytesArg("dstStep", 4), g.arg("src"), g.bytesArg("srcStep", 4)
	rows := g.arg("rows")
	for _, height := range []int{4, 2, 1} {
		g.times(rows, height, func() {
			lines, to, cols := g.regs(height), g.reg(), g.arg("cols")
			for i, line := range lines {
				if i == 0 {
					g.op("MOVD", src, line)
				} else {
					g.op("ADD", srcStep, lines[i-1], line)
				}
			}
			g.op("ADD", srcStep, lines[height-1], src)
			g.op("MOVD", dst, to)
			if height > 1 {
				g.times(cols, lanes, func() {
					v := g.vecs(height)
					for i, line := range lines {
						g.op("FMOVQ.P", mem(line, 16), v[i].f())
					}
					if height == 4 {
						fourColumns(g, v, to, dstStep)
					} else {
						twoColumns(g, v, to, dstStep)
					}
				})
			}
			g.times(cols, 1, func() {
				v := g.vec()
				for i, line := range lines {
					g.op("FMOVS.P", mem(line, 4), v.f())
					g.op("FMOVS", v.f(), mem(to, 4*i))
				}
				g.op("ADD", dstStep, to, to)
			})
			g.op("ADD", imm(4*height), dst, dst)
		})
	}
	g.end()
}

// fourColumns writes the columns of four lines.
func fourColumns(g *gen, v []vec, to, step reg) {
	low02, high02, low13, high13, column := g.vec(), g.vec(), g.vec(), g.vec(), g.vec()
	g.zip1(low02, v[0], v[2])
	g.zip2(high02, v[0], v[2])
	g.zip1(low13, v[1], v[3])
	g.zip2(high13, v[1], v[3])
	for _, pair := range [][2]vec{{low02, low13}, {high02, high13}} {
		for _, zip := range []func(d, n, m vec){g.zip1, g.zip2} {
			zip(column, pair[0], pair[1])
			g.store(column, mem(to, 0), lanes)
			g.op("ADD", step, to, to)
		}
	}
}

// twoColumns writes the columns of two lines.
func twoColumns(g *gen, v []vec, to, step reg) {
	columns := g.vec()
	for _, zip := range []func(d, n, m vec){g.zip1, g.zip2} {
		zip(columns, v[0], v[1])
		for lane := range 2 {
			g.op("VST1", fmt.Sprintf("%v.D[%d]", columns, lane), mem(to, 0))
			g.op("ADD", step, to, to)
		}
	}
}

// substitute takes a few columns through all rows before the next ones: their sums stay in registers while the rows
// above are read again, from the first cache level.
func substitute(g *gen) {
	g.function("substitute", "(x *float32, xStep, n, cols int, l *float32, lRow, lStep int)",
		"subtracts from row t of x the rows s < t times l[t·lRow+s·lStep], from the first row on.")
	x, xStep, n, lRow, lStep := g.arg("x"), g.bytesArg("xStep", 4), g.arg("n"), g.bytesArg("lRow", 4), g.bytesArg("lStep", 4)
	cols := g.arg("cols")
	columns := func(registers, width int) {
		sums, value, factor := g.vecs(registers), g.vec(), g.vec()
		row, line, count := g.reg(), g.arg("l"), g.reg()
		g.op("MOVD", x, row)
		g.op("MOVD", "$0", count)
		rows, done := g.label("rows"), g.label("solved")
		g.here(rows)
		for v, s := range sums {
			g.load(mem(row, 16*v), s, width)
		}
		known, element, left := g.reg(), g.reg(), g.reg()
		g.op("MOVD", x, known)
		g.op("MOVD", line, element)
		g.op("MOVD", count, left)
		g.op("CBZ", left, done)
		g.repeat(left, func() {
			g.op("FMOVS", mem(element, 0), factor.f())
			for v, s := range sums {
				g.load(mem(known, 16*v), value, width)
				g.fmlsLane(s, value, factor, 0)
			}
			g.op("ADD", xStep, known, known)
			g.op("ADD", lStep, element, element)
		})
		g.here(done)
		for v, s := range sums {
			g.store(s, mem(row, 16*v), width)
		}
		g.op("ADD", xStep, row, row)
		g.op("ADD", lRow, line, line)
		g.op("ADD", "$1", count, count)
		g.op("CMP", n, count)
		g.op("BLT", rows)
		g.op("ADD", imm(4*width*registers), x, x)
	}
	g.times(cols, 16, func() { columns(4, lanes) })
	g.times(cols, lanes, func() { columns(1, lanes) })
	g.times(cols, 1, func() { columns(1, 1) })
	g.end()
}
