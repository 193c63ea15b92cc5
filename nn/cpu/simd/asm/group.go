package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// unit is a number of weights that divides the length of every group.
const unit = 32

// accumulators are the independent sums of a row's product with a vector: one
// for each register of an AVX2 block, for each block of a unit in AVX-512.
const accumulators = 2

func groupKernels(g *gen) {
	groupOne(g)
	groupFour(g)
}

func groupOne(g *gen) {
	g.function("groupOne", "(y []float32, codes []byte, scales, x []float32, groups, group int)", "is groupKernels.one.")
	p := newGroupProduct(g, 4, 1)
	y, rows := g.ptr("y"), g.AllocLocal(8) // what is left
	g.MOVQ(g.length("y"), rows)
	for _, height := range []int{4, 1} {
		eachRows(g, rows, height, func() {
			storeLanes(g, g.horizontal(p.products(g, height)[0]), mem(y, 0), height)
			g.ADDQ(operand.U8(4*height), y)
		})
	}
	g.end()
}

// groupFour handles one row at a time, or two with the registers of AVX-512.
func groupFour(g *gen) {
	g.function("groupFour", "(y []float32, codes []byte, scales, x []float32, rows, groups, group, step int)", "is groupKernels.four.")
	heights := []int{1}
	if g.avx512 {
		heights = []int{2, 1}
	}
	p := newGroupProduct(g, heights[0], 4)
	rows, y := g.AllocLocal(8), g.AllocLocal(8)
	g.MOVQ(g.arg("rows"), rows)
	g.MOVQ(g.ptr("y"), y)
	for _, height := range heights {
		eachRows(g, rows, height, func() {
			totals := p.products(g, height)
			step, at := g.arg("step"), g.GP64()
			for r := range height {
				g.MOVQ(y, at)
				all := g.horizontal([]reg.VecVirtual{totals[0][r], totals[1][r], totals[2][r], totals[3][r]})
				scatterLanes(g, all, at, step)
				g.ADDQ(operand.U8(4), y)
			}
		})
	}
	g.end()
}

// scatterLanes writes the four lanes of v to floats that are step apart. at is used up.
func scatterLanes(g *gen, v reg.VecVirtual, at, step reg.GPVirtual) {
	for lane := range 4 {
		if lane == 0 {
			g.VMOVSS(v, mem(at, 0))
			continue
		}
		g.LEAQ(indexed(at, step, 4, 0), at)
		g.VEXTRACTPS(operand.U8(lane), v, mem(at, 0))
	}
}

// groupProduct addresses the operands of a product with scales for groups of weights.
type groupProduct struct {
	codes, scales strided // the next rows
	vectors       int
	rest          operand.Mem // room for the totals that no register is left for
}

func newGroupProduct(g *gen, rows, vectors int) groupProduct {
	g.loadTernaryShifts()
	p := groupProduct{vectors: vectors, rest: g.AllocLocal(rows * vectors * g.bytes())}
	p.codes = strided{bases: []reg.GPVirtual{g.ptr("codes")}, distance: g.arg("group"), distance3: g.GP64()}
	g.IMULQ(g.address("groups"), p.codes.distance)
	g.SHRQ(operand.U8(2), p.codes.distance)
	g.LEAQ(indexed(p.codes.distance, p.codes.distance, 2, 0), p.codes.distance3)
	p.scales = newStrided(g, g.ptr("scales"), g.arg("groups"), 4)
	return p
}

// eachRows emits body for height rows at a time, as long as there are so many left.
func eachRows(g *gen, left operand.Mem, height int, body func()) {
	loop, done := g.label("rows"), g.label("few")
	g.Label(loop)
	g.CMPQ(left, operand.U8(height))
	g.JL(operand.LabelRef(done))
	body()
	g.SUBQ(operand.U8(height), left)
	g.JMP(operand.LabelRef(loop))
	g.Label(done)
}

// products multiplies the next rows with the vectors and moves on by those rows. The
// result is, for each vector and row, a register to be added up.
func (p groupProduct) products(g *gen, rows int) [][]reg.VecVirtual {
	x := strided{bases: []reg.GPVirtual{g.ptr("x")}}
	if p.vectors > 1 {
		distance := g.arg("group")
		g.IMULQ(g.address("groups"), distance)
		x = newStrided(g, x.bases[0], distance, p.vectors)
	}
	kept := g.vecs(min(p.registers(g), p.vectors*rows)) // totals of the groups before: the first ones
	total := func(v, r int) (reg.VecVirtual, operand.Mem) {
		if i := v*rows + r; i < len(kept) {
			return kept[i], operand.Mem{}
		}
		return nil, p.rest.Offset((v*rows + r) * g.bytes())
	}
	sums := make([][][]reg.VecVirtual, p.vectors)
	for v := range sums {
		for range rows {
			sums[v] = append(sums[v], g.vecs(accumulators))
		}
	}
	g.zero(sums[0][0][0])
	for i := range p.vectors * rows {
		if i < len(kept) {
			g.zero(kept[i])
		} else {
			g.store(sums[0][0][0], p.rest.Offset(i*g.bytes()), nil)
		}
	}
	coming, left, count := g.GP64(), g.arg("groups"), g.GP64()
	g.LEAQ(mem(p.codes.bases[0], ahead), coming)

	groups, units, ended := g.label("groups"), g.label("units"), g.label("ended")
	g.Label(groups)
	g.MOVQ(g.address("group"), count)
	for _, begin := range []bool{true, false} {
		if !begin {
			g.Label(units)
		}
		p.multiply(g, x, sums, begin)
		g.PREFETCHT0(mem(coming, 0))
		g.ADDQ(operand.U8(rows*unit/4), coming)
		g.ADDQ(operand.U8(unit/4), p.codes.bases[0])
		g.SUBQ(operand.I8(-unit*4), x.bases[0])
		g.SUBQ(operand.U8(unit), count)
		if begin {
			g.JZ(operand.LabelRef(ended))
		} else {
			g.JNZ(operand.LabelRef(units))
		}
	}
	g.Label(ended)
	for r := range rows {
		scale := g.vec()
		g.VBROADCASTSS(p.scales.at(r), scale)
		for v := range sums {
			s := sums[v][r]
			g.VADDPS(s[1], s[0], s[0])
			if register, place := total(v, r); register != nil {
				g.VFMADD231PS(s[0], scale, register)
			} else {
				g.VFMADD213PS(place, scale, s[0])
				g.store(s[0], place, nil)
			}
		}
	}
	g.ADDQ(operand.U8(4), p.scales.bases[0])
	g.DECQ(left)
	g.JNZ(operand.LabelRef(groups))

	for _, rest := range []strided{p.codes, p.scales} { // one row is behind
		if rows > 1 {
			g.LEAQ(rest.at(rows-1), rest.bases[0])
		}
	}
	totals := make([][]reg.VecVirtual, p.vectors)
	half := g.vec()
	g.VMOVUPS(g.float("half", 0.5), half)
	for v := range totals {
		totals[v] = g.vecs(rows)
		for r, dst := range totals[v] {
			if register, place := total(v, r); register != nil {
				g.VMULPS(register, half, dst)
			} else {
				g.VMULPS(place, half, dst)
			}
		}
	}
	return totals
}

// registers returns how many registers are left for totals.
func (p groupProduct) registers(g *gen) int {
	switch {
	case g.avx512:
		return 8
	case p.vectors == 1: // whose values have two
		return 1
	}
	return 3
}

// multiply adds twice the products of a unit; begin: there are no sums before.
func (p groupProduct) multiply(g *gen, x strided, sums [][][]reg.VecVirtual, begin bool) {
	f := format{bits: 2, decode: decodeTernaryTwice, twice: true}
	parts := block / g.lanes()
	for b := range unit / block {
		into := make([][][]reg.VecVirtual, len(sums))
		for v := range sums {
			for _, s := range sums[v] {
				if parts == 1 {
					s = s[b : b+1]
				}
				into[v] = append(into[v], s)
			}
		}
		add := g.addProduct
		if begin && (b == 0 || parts == 1) {
			add = func(x operand.Op, w, sum reg.VecVirtual) { g.VMULPS(x, w, sum) }
		}
		f.multiply(g, p.codes.from(b*block/4), x.from(b*block*4), into, parts, nil, add)
	}
}
