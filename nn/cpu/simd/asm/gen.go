package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gen emits kernels for one register width.
type gen struct {
	*build.Context
	avx512    bool
	constants map[string]operand.Mem
	labels    int
	ternary   ternaryConstants
}

// lanes is the number of float32 in a register.
func (g *gen) lanes() int {
	if g.avx512 {
		return 16
	}
	return 8
}

// bytes is the size of a register.
func (g *gen) bytes() int { return 4 * g.lanes() }

// suffix tells the names of the two widths apart.
func (g *gen) suffix() string {
	if g.avx512 {
		return "AVX512"
	}
	return "AVX2"
}

// vec is a new full-width register.
func (g *gen) vec() reg.VecVirtual {
	if g.avx512 {
		return g.ZMM()
	}
	return g.YMM()
}

func (g *gen) vecs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = g.vec()
	}
	return v
}

// function begins the kernel `name` with a signature such as "(x []float32) float32".
func (g *gen) function(name, signature, doc string) {
	g.Function(name + g.suffix())
	g.Attributes(attr.NOSPLIT)
	g.Pragma("noescape")
	g.SignatureExpr("func" + signature)
	g.Doc(name + g.suffix() + " " + doc)
}

// end leaves the kernel.
func (g *gen) end() {
	g.VZEROUPPER()
	g.RET()
}

// label is a name not used before in this kernel.
func (g *gen) label(name string) string {
	g.labels++
	return fmt.Sprintf("%s%d", name, g.labels)
}

func (g *gen) ptr(name string) reg.GPVirtual {
	return g.Load(g.Param(name).Base(), g.GP64()).(reg.GPVirtual)
}

func (g *gen) length(name string) reg.GPVirtual {
	return g.Load(g.Param(name).Len(), g.GP64()).(reg.GPVirtual)
}

func (g *gen) arg(name string) reg.GPVirtual {
	return g.Load(g.Param(name), g.GP64()).(reg.GPVirtual)
}

// address is where an argument lies.
func (g *gen) address(name string) operand.Mem {
	c, err := g.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return c.Addr
}

// broadcast is a register filled with a float32 argument.
func (g *gen) broadcast(name string) reg.VecVirtual {
	v := g.vec()
	g.VBROADCASTSS(g.address(name), v)
	return v
}

func (g *gen) zero(v reg.VecVirtual) { g.VXORPS(v, v, v) }

func mem(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

func indexed(base, index reg.Register, scale uint8, disp int) operand.Mem {
	return operand.Mem{Base: base, Index: index, Scale: scale, Disp: disp}
}

// data returns a table of 32-bit constants, the same one for the same name.
func (g *gen) data(name string, n int, word func(i int) uint32) operand.Mem {
	if table, ok := g.constants[name]; ok {
		return table
	}
	table := g.StaticGlobal(name)
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range n {
		g.AddDatum(4*i, operand.U32(word(i)))
	}
	g.constants[name] = table
	return table
}

// words returns a memory operand with a register's worth of 32-bit constants.
func (g *gen) words(name string, word func(lane int) uint32) operand.Mem {
	return g.data(name+g.suffix(), g.lanes(), word)
}

// float is a memory operand with one float32 in all lanes.
func (g *gen) float(name string, value float64) operand.Mem {
	return g.words(name, func(int) uint32 { return math.Float32bits(float32(value)) })
}

// tail represents the first lanes of a register; nil means all of them.
type tail struct{ mask reg.Register }

// tailOf makes the mask of the first n lanes, 0 ≤ n ≤ lanes.
func (g *gen) tailOf(n reg.GPVirtual) *tail {
	if g.avx512 {
		return &tail{g.firstBits(n)}
	}
	// A window on as many ones as zeros, n lanes before the border.
	border := g.data("border", 16, func(i int) uint32 {
		if i < 8 {
			return math.MaxUint32
		}
		return 0
	})
	window, back := g.GP64(), g.GP64()
	g.LEAQ(border.Offset(32), window)
	g.MOVQ(n, back)
	g.NEGQ(back)
	mask := g.YMM()
	g.VMOVUPS(indexed(window, back, 4, 0), mask)
	return &tail{mask}
}

// registerTails are the tails of two registers that follow each other, of n
// elements together.
func registerTails(g *gen, n reg.GPVirtual) []*tail {
	zero := g.GP64()
	var tails []*tail
	for v := range 2 {
		own, limit := g.GP64(), g.GP64()
		g.LEAQ(mem(n, -v*g.lanes()), own)
		g.XORQ(zero, zero)
		g.TESTQ(own, own)
		g.CMOVQLT(zero, own)
		g.MOVQ(operand.U32(g.lanes()), limit)
		g.CMPQ(own, limit)
		g.CMOVQGT(limit, own)
		tails = append(tails, g.tailOf(own))
	}
	return tails
}

// firstBits returns an opmask with the n lowest bits set, n ≤ 64.
func (g *gen) firstBits(n reg.GPVirtual) reg.Register {
	bits, k := g.GP64(), g.K()
	g.MOVQ(operand.I32(-1), bits)
	g.BZHIQ(n, bits, bits)
	g.KMOVQ(bits, k)
	return k
}

// load reads a vector; lanes outside the tail become 0 and are not touched in memory.
func (g *gen) load(src operand.Mem, dst reg.VecVirtual, t *tail) {
	switch {
	case t == nil:
		g.VMOVUPS(src, dst)
	case g.avx512:
		g.VMOVUPS_Z(src, t.mask, dst)
	default:
		g.VMASKMOVPS(src, t.mask, dst)
	}
}

// store writes a vector; memory outside the tail is not touched.
func (g *gen) store(src reg.VecVirtual, dst operand.Mem, t *tail) {
	switch {
	case t == nil:
		g.VMOVUPS(src, dst)
	case g.avx512:
		g.VMOVUPS(src, t.mask, dst)
	default:
		g.VMASKMOVPS(src, t.mask, dst)
	}
}

// vectors emits body for each full register of n elements, with index counting
// elements, then once for the rest, if there is one. n is used up.
func (g *gen) vectors(n, index reg.GPVirtual, body func(t *tail)) {
	loop, rest, done := g.label("vectors"), g.label("rest"), g.label("done")
	g.SUBQ(operand.U32(g.lanes()), n)
	g.JL(operand.LabelRef(rest))
	g.Label(loop)
	body(nil)
	g.ADDQ(operand.U32(g.lanes()), index)
	g.SUBQ(operand.U32(g.lanes()), n)
	g.JGE(operand.LabelRef(loop))
	g.Label(rest)
	g.ADDQ(operand.U32(g.lanes()), n)
	g.JZ(operand.LabelRef(done))
	body(g.tailOf(n))
	g.Label(done)
}

// halves are the two halves of a full-width register: the lower one in place, the
// upper one copied.
func (g *gen) halves(v reg.VecVirtual) (lower, upper reg.VecVirtual) {
	if g.avx512 {
		upper = g.YMM()
		g.VEXTRACTF64X4(operand.U8(1), v, upper)
		return v.AsY().(reg.VecVirtual), upper
	}
	upper = g.XMM()
	g.VEXTRACTF128(operand.U8(1), v, upper)
	return v.AsX().(reg.VecVirtual), upper
}
