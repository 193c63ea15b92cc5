package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemmKernels emits the tiles of Gemm and the copying of its panels. A tile is two
// registers wide; the highest uses all registers for its sums but for the two of B
// and those of one element of A.
func gemmKernels(g *gen) {
	heights := []int{6, 4, 2, 1}
	if g.avx512 {
		heights = []int{14, 8, 4, 2, 1}
	}
	for _, h := range heights {
		tile(g, h)
	}
	transpose(g)
	gather(g)
	substitute(g)
}

// basesEvery is the number of rows of A that share a pointer: addressing modes reach
// 0, 1, 2 and 4 times the distance of two rows, and 3 times with another register.
const basesEvery = 5

// cacheLine is the bytes that memory comes in.
const cacheLine = 64

func tile(g *gen, height int) {
	g.function(fmt.Sprintf("tile%d", height),
		"(k int, a *float32, aRow, aStep int, b *float32, bStep int, c *float32, cRow, cols int, alpha, beta float32)",
		fmt.Sprintf("is a tileFunc of %d rows.", height))
	k := g.arg("k")
	rows, aStep := rowPointers(g, height)
	b, bStep := g.arg("b"), g.arg("bStep")
	g.SHLQ(operand.U8(2), bStep)
	// With 16 registers there is no room for masks before the sums are done; all
	// columns of B are read then.
	masks := []*tail{nil, nil}
	if g.avx512 {
		masks = registerTails(g, g.arg("cols"))
	}

	prefetchTile(g, height)
	sums := make([][]reg.VecVirtual, height)
	for i := range sums {
		sums[i] = g.vecs(2)
		g.zero(sums[i][0])
		g.zero(sums[i][1])
	}
	g.Label("steps")
	row := g.vecs(2)
	for v := range row {
		g.load(mem(b, v*g.bytes()), row[v], masks[v])
	}
	for i := range height {
		element := g.vec()
		g.VBROADCASTSS(rows.at(i), element)
		g.VFMADD231PS(row[0], element, sums[i][0])
		g.VFMADD231PS(row[1], element, sums[i][1])
	}
	for _, base := range rows.bases {
		g.ADDQ(aStep, base)
	}
	g.ADDQ(bStep, b)
	g.DECQ(k)
	g.JNZ(operand.LabelRef("steps"))
	storeTile(g, sums, masks)
}

// prefetchTile prefetches the rows of C, which are needed when the sums are done.
func prefetchTile(g *gen, height int) {
	c, cRow := g.arg("c"), g.arg("cRow")
	g.SHLQ(operand.U8(2), cRow)
	for range height {
		for at := 0; at < 2*g.bytes(); at += cacheLine {
			g.PREFETCHT0(mem(c, at))
		}
		g.ADDQ(cRow, c)
	}
}

// storeTile ends a tile: C = alpha·sums + beta·C. AVX2 has stores of its own for
// whole tiles, since its masked store is slow on some processors.
func storeTile(g *gen, sums [][]reg.VecVirtual, masks []*tail) {
	c, cRow := g.arg("c"), g.arg("cRow")
	g.SHLQ(operand.U8(2), cRow)
	factor := g.broadcast("alpha")
	for _, row := range sums {
		g.VMULPS(factor, row[0], row[0])
		g.VMULPS(factor, row[1], row[1])
	}
	beta := g.GP32()
	g.MOVL(g.address("beta"), beta)
	g.ADDL(beta, beta) // drops the sign: −0 is 0 too
	g.VBROADCASTSS(g.address("beta"), factor)
	if g.avx512 {
		storeRows(g, sums, masks, c, cRow, beta, factor)
		return
	}
	cols := g.arg("cols")
	g.CMPQ(cols, operand.U8(2*g.lanes()))
	g.JNE(operand.LabelRef("narrow"))
	storeRows(g, sums, masks, c, cRow, beta, factor)
	g.Label("narrow")
	storeRows(g, sums, registerTails(g, cols), c, cRow, beta, factor)
}

// storeRows adds beta·C, unless beta is 0, writes the rows and returns.
func storeRows(g *gen, sums [][]reg.VecVirtual, masks []*tail, c, cRow, beta reg.GPVirtual, factor reg.VecVirtual) {
	overwrite := g.label("overwrite")
	g.TESTL(beta, beta)
	g.JZ(operand.LabelRef(overwrite))
	for _, withBeta := range []bool{true, false} {
		if !withBeta {
			g.Label(overwrite)
		}
		for _, row := range sums {
			for v := range row {
				at := mem(c, v*g.bytes())
				if withBeta {
					old := g.vec()
					g.load(at, old, masks[v])
					g.VFMADD231PS(old, factor, row[v])
				}
				g.store(row[v], at, masks[v])
			}
			g.ADDQ(cRow, c)
		}
		g.end()
	}
}

// strided addresses rows that lie a fixed distance apart.
type strided struct {
	bases               []reg.GPVirtual
	distance, distance3 reg.GPVirtual
	disp                int // bytes in front of what is meant
}

// from skips some bytes of each row.
func (s strided) from(bytes int) strided {
	s.disp += bytes
	return s
}

func (s strided) at(i int) operand.Mem {
	base := s.bases[i/basesEvery]
	switch i % basesEvery {
	case 0:
		return mem(base, s.disp)
	case 3:
		return indexed(base, s.distance3, 1, s.disp)
	default:
		return indexed(base, s.distance, uint8(i%basesEvery), s.disp)
	}
}

// rowPointers loads a, aRow and aStep.
func rowPointers(g *gen, height int) (s strided, aStep reg.GPVirtual) {
	s = newStrided(g, g.arg("a"), g.arg("aRow"), height)
	aStep = g.arg("aStep")
	g.SHLQ(operand.U8(2), aStep)
	return s, aStep
}

// newStrided addresses n rows of float32; distance, in elements, becomes bytes.
func newStrided(g *gen, base, distance reg.GPVirtual, n int) strided {
	g.SHLQ(operand.U8(2), distance)
	s := strided{distance: distance, distance3: g.GP64()}
	g.LEAQ(indexed(distance, distance, 2, 0), s.distance3)
	s.bases = []reg.GPVirtual{base}
	for i := basesEvery; i < n; i += basesEvery {
		next := g.GP64()
		g.LEAQ(indexed(s.bases[len(s.bases)-1], distance, 4, 0), next)
		g.ADDQ(distance, next)
		s.bases = append(s.bases, next)
	}
	return s
}
