package main

import (
	"fmt"
	"strings"
)

// The vector instructions, by Arm's names and encodings ("Arm Architecture Reference Manual for A-profile", C7.2).

// word writes an instruction with its text.
func (g *gen) word(bits uint32, format string, operands ...any) {
	fmt.Fprintf(&g.body, "\tWORD $%#08x // %s\n", bits, fmt.Sprintf(format, operands...))
}

// fields puts registers to their places.
func fields(bits uint32, d, n, m vec) uint32 {
	return bits | uint32(m)<<16 | uint32(n)<<5 | uint32(d)
}

// same is an instruction whose operands are alike: "4s", "8h" and so on.
func (g *gen) same(bits uint32, name, as string, d, n, m vec) {
	g.word(fields(bits, d, n, m), "%s v%d.%s, v%d.%s, v%d.%s", name, d, as, n, as, m, as)
}

func (g *gen) fadd(d, n, m vec)  { g.same(0x4e20d400, "fadd", "4s", d, n, m) }
func (g *gen) fsub(d, n, m vec)  { g.same(0x4ea0d400, "fsub", "4s", d, n, m) }
func (g *gen) fmul(d, n, m vec)  { g.same(0x6e20dc00, "fmul", "4s", d, n, m) }
func (g *gen) fdiv(d, n, m vec)  { g.same(0x6e20fc00, "fdiv", "4s", d, n, m) }
func (g *gen) fmla(d, n, m vec)  { g.same(0x4e20cc00, "fmla", "4s", d, n, m) }
func (g *gen) fmls(d, n, m vec)  { g.same(0x4ea0cc00, "fmls", "4s", d, n, m) }
func (g *gen) fmax(d, n, m vec)  { g.same(0x4e20f400, "fmax", "4s", d, n, m) }
func (g *gen) fmin(d, n, m vec)  { g.same(0x4ea0f400, "fmin", "4s", d, n, m) }
func (g *gen) faddp(d, n, m vec) { g.same(0x6e20d400, "faddp", "4s", d, n, m) }
func (g *gen) fcmeq(d, n, m vec) { g.same(0x4e20e400, "fcmeq", "4s", d, n, m) }
func (g *gen) fcmge(d, n, m vec) { g.same(0x6e20e400, "fcmge", "4s", d, n, m) }
func (g *gen) fcmgt(d, n, m vec) { g.same(0x6ea0e400, "fcmgt", "4s", d, n, m) }
func (g *gen) faddD(d, n, m vec) { g.same(0x4e60d400, "fadd", "2d", d, n, m) }
func (g *gen) add(d, n, m vec)   { g.same(0x4ea08400, "add", "4s", d, n, m) }
func (g *gen) addH(d, n, m vec)  { g.same(0x4e608400, "add", "8h", d, n, m) }
func (g *gen) addB(d, n, m vec)  { g.same(0x4e208400, "add", "16b", d, n, m) }
func (g *gen) sub(d, n, m vec)   { g.same(0x6ea08400, "sub", "4s", d, n, m) }
func (g *gen) subH(d, n, m vec)  { g.same(0x6e608400, "sub", "8h", d, n, m) }
func (g *gen) addp(d, n, m vec)  { g.same(0x4ea0bc00, "addp", "4s", d, n, m) }
func (g *gen) smax(d, n, m vec)  { g.same(0x4ea06400, "smax", "4s", d, n, m) }
func (g *gen) smin(d, n, m vec)  { g.same(0x4ea06c00, "smin", "4s", d, n, m) }
func (g *gen) umax(d, n, m vec)  { g.same(0x6ea06400, "umax", "4s", d, n, m) }
func (g *gen) umin(d, n, m vec)  { g.same(0x6ea06c00, "umin", "4s", d, n, m) }
func (g *gen) ushl(d, n, m vec)  { g.same(0x6ea04400, "ushl", "4s", d, n, m) }
func (g *gen) ushlB(d, n, m vec) { g.same(0x6e204400, "ushl", "16b", d, n, m) }
func (g *gen) and(d, n, m vec)   { g.same(0x4e201c00, "and", "16b", d, n, m) }
func (g *gen) bic(d, n, m vec)   { g.same(0x4e601c00, "bic", "16b", d, n, m) }
func (g *gen) eor(d, n, m vec)   { g.same(0x6e201c00, "eor", "16b", d, n, m) }
func (g *gen) bit(d, n, m vec)   { g.same(0x6ea01c00, "bit", "16b", d, n, m) } // n's bits where m has ones
func (g *gen) bif(d, n, m vec)   { g.same(0x6ee01c00, "bif", "16b", d, n, m) } // n's bits where m has zeros
func (g *gen) zip1(d, n, m vec)  { g.same(0x4e803800, "zip1", "4s", d, n, m) }
func (g *gen) zip2(d, n, m vec)  { g.same(0x4e807800, "zip2", "4s", d, n, m) }
func (g *gen) zip1B(d, n, m vec) { g.same(0x4e003800, "zip1", "16b", d, n, m) }
func (g *gen) zip2B(d, n, m vec) { g.same(0x4e007800, "zip2", "16b", d, n, m) }
func (g *gen) uzp1B(d, n, m vec) { g.same(0x4e001800, "uzp1", "16b", d, n, m) }
func (g *gen) uzp2B(d, n, m vec) { g.same(0x4e005800, "uzp2", "16b", d, n, m) }
func (g *gen) zero(d vec)        { g.eor(d, d, d) }
func (g *gen) look(d, table, index vec) {
	g.word(fields(0x4e000000, d, table, index), "tbl v%d.16b, {v%d.16b}, v%d.16b", d, table, index)
}

func (g *gen) move(d, n vec) {
	g.word(fields(0x4ea01c00, d, n, n), "mov v%d.16b, v%d.16b", d, n)
}

// one is an instruction of one operand.
func (g *gen) one(bits uint32, name, to, from string, d, n vec) {
	g.word(fields(bits, d, n, 0), "%s v%d.%s, v%d.%s", name, d, to, n, from)
}

func (g *gen) fsqrt(d, n vec)    { g.one(0x6ea1f800, "fsqrt", "4s", "4s", d, n) }
func (g *gen) fabs(d, n vec)     { g.one(0x4ea0f800, "fabs", "4s", "4s", d, n) }
func (g *gen) fneg(d, n vec)     { g.one(0x6ea0f800, "fneg", "4s", "4s", d, n) }
func (g *gen) scvtf(d, n vec)    { g.one(0x4e21d800, "scvtf", "4s", "4s", d, n) }
func (g *gen) fcvtns(d, n vec)   { g.one(0x4e21a800, "fcvtns", "4s", "4s", d, n) } // to nearest, halves to even
func (g *gen) widen(d, n vec)    { g.one(0x0e217800, "fcvtl", "4s", "4h", d, n) }
func (g *gen) widen2(d, n vec)   { g.one(0x4e217800, "fcvtl2", "4s", "8h", d, n) }
func (g *gen) narrow(d, n vec)   { g.one(0x0e216800, "fcvtn", "4h", "4s", d, n) }
func (g *gen) doubles(d, n vec)  { g.one(0x0e617800, "fcvtl", "2d", "2s", d, n) }
func (g *gen) doubles2(d, n vec) { g.one(0x4e617800, "fcvtl2", "2d", "4s", d, n) }
func (g *gen) xtnH(d, n vec)     { g.one(0x0e612800, "xtn", "4h", "4s", d, n) }
func (g *gen) xtnB(d, n vec)     { g.one(0x0e212800, "xtn", "8b", "8h", d, n) }
func (g *gen) sqxtnH(d, n vec)   { g.one(0x0e614800, "sqxtn", "4h", "4s", d, n) }
func (g *gen) sqxtn2H(d, n vec)  { g.one(0x4e614800, "sqxtn2", "8h", "4s", d, n) }
func (g *gen) sqxtnB(d, n vec)   { g.one(0x0e214800, "sqxtn", "8b", "8h", d, n) }
func (g *gen) sqxtn2B(d, n vec)  { g.one(0x4e214800, "sqxtn2", "16b", "8h", d, n) }
func (g *gen) saddlpH(d, n vec)  { g.one(0x4e602800, "saddlp", "4s", "8h", d, n) } // sums of neighbours
func (g *gen) sadalpH(d, n vec)  { g.one(0x4e606800, "sadalp", "4s", "8h", d, n) } // added to d
func (g *gen) sadalpB(d, n vec)  { g.one(0x0e206800, "sadalp", "4h", "8b", d, n) }
func (g *gen) negH(d, n vec)     { g.one(0x2e60b800, "neg", "4h", "4h", d, n) }

// faddpD adds the first two lanes.
func (g *gen) faddpD(d, n vec) {
	g.word(fields(0x7e70d800, d, n, 0), "faddp d%d, v%d.2d", d, n)
}

// Shifts by a constant; bits is the size of a lane.
func (g *gen) shift(code uint32, left bool, name, as string, bits int, d, n vec, by int) {
	place := uint32(2*bits - by)
	if left {
		place = uint32(bits + by)
	}
	g.word(fields(code|place<<16, d, n, 0), "%s v%d.%s, v%d.%s, #%d", name, d, as, n, as, by)
}

func (g *gen) shl(d, n vec, by int)   { g.shift(0x4f005400, true, "shl", "4s", 32, d, n, by) }
func (g *gen) ushr(d, n vec, by int)  { g.shift(0x6f000400, false, "ushr", "4s", 32, d, n, by) }
func (g *gen) ushrH(d, n vec, by int) { g.shift(0x6f000400, false, "ushr", "8h", 16, d, n, by) }
func (g *gen) ushrB(d, n vec, by int) { g.shift(0x6f000400, false, "ushr", "16b", 8, d, n, by) }
func (g *gen) shlH(d, n vec, by int)  { g.shift(0x4f005400, true, "shl", "8h", 16, d, n, by) }
func (g *gen) usraH(d, n vec, by int) { g.shift(0x6f001400, false, "usra", "8h", 16, d, n, by) }
func (g *gen) sli(d, n vec, by int)   { g.shift(0x6f005400, true, "sli", "4s", 32, d, n, by) }
func (g *gen) sliH(d, n vec, by int)  { g.shift(0x6f005400, true, "sli", "8h", 16, d, n, by) }
func (g *gen) sriH(d, n vec, by int)  { g.shift(0x6f004400, false, "sri", "8h", 16, d, n, by) }

// longer is a shift to the left into lanes of twice the size; without one it has another name.
func (g *gen) longer(code uint32, name, to, from string, bits int, d, n vec, by int) {
	if by == 0 {
		name = strings.Replace(name, "shll", "xtl", 1)
		g.word(fields(code|uint32(bits)<<16, d, n, 0), "%s v%d.%s, v%d.%s", name, d, to, n, from)
		return
	}
	g.word(fields(code|uint32(bits+by)<<16, d, n, 0), "%s v%d.%s, v%d.%s, #%d", name, d, to, n, from, by)
}

func (g *gen) sshllB(d, n vec)          { g.longer(0x0f00a400, "sshll", "8h", "8b", 8, d, n, 0) }
func (g *gen) sshll2B(d, n vec)         { g.longer(0x4f00a400, "sshll2", "8h", "16b", 8, d, n, 0) }
func (g *gen) sshllH(d, n vec)          { g.longer(0x0f00a400, "sshll", "4s", "4h", 16, d, n, 0) }
func (g *gen) sshll2H(d, n vec)         { g.longer(0x4f00a400, "sshll2", "4s", "8h", 16, d, n, 0) }
func (g *gen) ushllH(d, n vec, by int)  { g.longer(0x2f00a400, "ushll", "4s", "4h", 16, d, n, by) }
func (g *gen) ushll2H(d, n vec, by int) { g.longer(0x6f00a400, "ushll2", "4s", "8h", 16, d, n, by) }

// shll puts the bits of the lower half of n's words into the upper half of twice as wide ones; shll2 of the upper words.
func (g *gen) shll(d, n vec)  { g.word(fields(0x2e613800, d, n, 0), "shll v%d.4s, v%d.4h, #16", d, n) }
func (g *gen) shll2(d, n vec) { g.word(fields(0x6e613800, d, n, 0), "shll2 v%d.4s, v%d.8h, #16", d, n) }

func (g *gen) uaddwH(d, n, m vec) {
	g.word(fields(0x2e601000, d, n, m), "uaddw v%d.4s, v%d.4s, v%d.4h", d, n, m)
}

func (g *gen) uaddw2H(d, n, m vec) {
	g.word(fields(0x6e601000, d, n, m), "uaddw2 v%d.4s, v%d.4s, v%d.8h", d, n, m)
}

// smlalB adds products of bytes to lanes of 16 bits: those of the lower half, and those of the upper one.
func (g *gen) smlalB(d, n, m vec) {
	g.word(fields(0x0e208000, d, n, m), "smlal v%d.8h, v%d.8b, v%d.8b", d, n, m)
}

func (g *gen) smlal2B(d, n, m vec) {
	g.word(fields(0x4e208000, d, n, m), "smlal2 v%d.8h, v%d.16b, v%d.16b", d, n, m)
}

// sdot adds to each lane of 32 bits the products of its four bytes.
func (g *gen) sdot(d, n, m vec) {
	g.word(fields(0x4e809400, d, n, m), "sdot v%d.4s, v%d.16b, v%d.16b", d, n, m)
}

// byLane is an instruction whose last operand is one lane of m.
func (g *gen) byLane(bits uint32, name string, d, n, m vec, lane int) {
	bits |= uint32(lane&1)<<21 | uint32(lane>>1)<<11
	g.word(fields(bits, d, n, m), "%s v%d.4s, v%d.4s, v%d.s[%d]", name, d, n, m, lane)
}

func (g *gen) fmlaLane(d, n, m vec, lane int) { g.byLane(0x4f801000, "fmla", d, n, m, lane) }
func (g *gen) fmlsLane(d, n, m vec, lane int) { g.byLane(0x4f805000, "fmls", d, n, m, lane) }
func (g *gen) fmulLane(d, n, m vec, lane int) { g.byLane(0x4f809000, "fmul", d, n, m, lane) }
func (g *gen) mulLane(d, n, m vec, lane int)  { g.byLane(0x4f808000, "mul", d, n, m, lane) }

// dup brings a lane into all lanes.
func (g *gen) dup(d, n vec, lane int) {
	g.word(fields(0x4e040400|uint32(lane)<<19, d, n, 0), "dup v%d.4s, v%d.s[%d]", d, n, lane)
}

// dupWord does it to a general register.
func (g *gen) dupWord(d vec, r reg) {
	n := generalRegisters[r]
	g.word(fields(0x4e040c00, d, vec(n), 0), "dup v%d.4s, w%d", d, n)
}
