package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// interleave turns a square of 16 rows and columns around in each half of the registers, in two parts of 8 rows, for
// which there are registers.
func interleave(g *gen) {
	g.function("interleave", "(dst, src *byte, stride, blocks int)", "is lookupKernels.interleave.")
	dst, src, stride, blocks := g.arg("dst"), g.arg("src"), g.arg("stride"), g.arg("blocks")
	kept := g.AllocLocal(8 * 32) // the first part
	stride3 := g.GP64()
	g.LEAQ(indexed(stride, stride, 2, 0), stride3)
	fours := []reg.GPVirtual{src} // rows 0, 4, 8 … 28
	for len(fours) < 8 {
		next := g.GP64()
		g.LEAQ(indexed(fours[len(fours)-1], stride, 4, 0), next)
		fours = append(fours, next)
	}
	row := func(r int) operand.Mem {
		base := fours[r/4]
		switch r % 4 {
		case 0:
			return mem(base, 0)
		case 3:
			return indexed(base, stride3, 1, 0)
		}
		return indexed(base, stride, uint8(r%4), 0)
	}
	g.Label("blocks")
	for part := range 2 {
		v := make([]reg.VecVirtual, 8)
		for i := range v {
			v[i] = g.YMM()
			r := rowOfLane(8*part + i)
			g.VBROADCASTI128(row(r), v[i])
			g.VINSERTI128(operand.U8(1), row(r+4), v[i], v[i])
		}
		for range 3 {
			v = interleaved(g, v)
		}
		for i, x := range v {
			if part == 0 {
				g.VMOVDQU(x, kept.Offset(32*i))
				continue
			}
			first, all := g.YMM(), g.YMM()
			g.VMOVDQU(kept.Offset(32*i), first)
			g.VPUNPCKLQDQ(x, first, all)
			g.VMOVDQU(all, mem(dst, 64*i))
			g.VPUNPCKHQDQ(x, first, all)
			g.VMOVDQU(all, mem(dst, 64*i+32))
		}
	}
	for _, four := range fours {
		g.ADDQ(operand.U8(16), four)
	}
	g.ADDQ(operand.U32(16*lookupRows), dst)
	g.DECQ(blocks)
	g.JNZ(operand.LabelRef("blocks"))
	g.end()
}

// rowOfLane returns the row whose bytes go to place p of the lower half of a register; that of the upper half is 4 rows
// further on. The sums of even places and of odd ones, as floats, are then in the order of rows.
func rowOfLane(p int) int { return p/2%4 + p/8*8 + p%2*16 }

// interleaved is a stage of turning around: it puts the bytes of each two registers whose numbers differ by four by
// turns. After three stages register c/2 holds columns c and c+1 of eight rows, one behind the other.
func interleaved(g *gen, v []reg.VecVirtual) []reg.VecVirtual {
	var out []reg.VecVirtual
	for i := range 4 {
		low, high := g.YMM(), g.YMM()
		g.VPUNPCKLBW(v[i+4], v[i], low)
		g.VPUNPCKHBW(v[i+4], v[i], high)
		out = append(out, low, high)
	}
	return out
}
