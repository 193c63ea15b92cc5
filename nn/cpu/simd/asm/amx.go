package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	tileRow     = 64   // bytes
	tileBytes   = 1024 // of a whole tile
	tileLines   = 4    // of codes: 64 columns, those of a tile of weights
	tileDigits  = 4    // the first of two tile registers with digits, behind four with sums
	tileWeights = 6    // and the first of two with weights
)

// amxKernels emits products by TDPBSUD of AMX, which adds to a tile of 16×16 sums the product of a tile of signed bytes, 16×64, with
// one of unsigned bytes, 64×16. Processors with AMX have AVX-512, too.
func amxKernels(g *gen) {
	if !g.avx512 {
		return
	}
	amxPlanes(g)
	amxDigitBytes(g)
	for _, planes := range []int{3, 1} {
		amxProduct(g, planes)
	}
}

// Instructions of AMX are emitted as bytes, because neither avo nor Go's assembler has them. Their memory operands are rows that
// lie tileStride bytes apart, from tileBase on.
var tileBase, tileStride = reg.RAX, reg.RCX

// amx emits an instruction: the last byte of its VEX prefix, its opcode, and ModRM and SIB (Intel's manual, volume 2).
func (g *gen) amx(comment string, prefix, opcode byte, rest ...byte) {
	g.Comment(comment)
	inputs := []operand.Op{tileBase, tileStride}
	for _, b := range append([]byte{0xc4, 0xe2, prefix, opcode}, rest...) {
		g.Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}, Inputs: inputs})
	}
}

func (g *gen) loadTileConfig() { g.amx("LDTILECFG (AX)", 0x78, 0x49, 0x00) }
func (g *gen) releaseTiles()   { g.amx("TILERELEASE", 0x78, 0x49, 0xc0) }
func (g *gen) zeroTile(t int)  { g.amx(fmt.Sprintf("TILEZERO TMM%d", t), 0x7b, 0x49, 0xc0|byte(t)<<3) }
func (g *gen) loadTile(t int) {
	g.amx(fmt.Sprintf("TILELOADD (AX)(CX*1), TMM%d", t), 0x7b, 0x4b, 0x04|byte(t)<<3, 0x08)
}
func (g *gen) storeTile(t int) {
	g.amx(fmt.Sprintf("TILESTORED TMM%d, (AX)(CX*1)", t), 0x7a, 0x4b, 0x04|byte(t)<<3, 0x08)
}

// multiplyTiles adds to sums the products of signed bytes with unsigned ones.
func (g *gen) multiplyTiles(unsigned, signed, sums int) {
	g.amx(fmt.Sprintf("TDPBSUD TMM%d, TMM%d, TMM%d", unsigned, signed, sums), byte(15-unsigned)<<3|0b010, 0x5e, 0xc0|byte(sums)<<3|byte(signed))
}

// amxPlanes is dotPlanes for rows of tiles.
func amxPlanes(g *gen) {
	g.function("amxPlanes", "(dst *int8, step int, x *float32, scale float32, tiles int) int32", "is amxKernels.planes.")
	planes := newDotPlanes(g)
	dotLines(g, tileLines, "tiles", planes.read, func(q reg.VecVirtual, dst reg.GPVirtual, line int) {
		planes.write(q, []operand.Mem{mem(dst, line*dotPlane), mem(dst, tileRow+line*dotPlane), mem(dst, 2*tileRow+line*dotPlane)})
	})
}

// amxDigitBytes is dotBytes for rows of tiles.
func amxDigitBytes(g *gen) {
	g.function("amxBytes", "(dst, q *int8, step, tiles int) int32", "is amxKernels.bytes.")
	from := g.arg("q")
	dotLines(g, tileLines, "tiles", func(q reg.VecVirtual) {
		g.VPMOVSXBD(mem(from, 0), q)
		g.ADDQ(operand.U8(dotPlane), from)
	}, func(q reg.VecVirtual, dst reg.GPVirtual, line int) { g.VPMOVDB(q, mem(dst, line*dotPlane)) })
}

// Places of a product's room.
const (
	roomSums    = 0             // of four tiles, those of each half of the vectors with each of two blocks
	roomOther   = 4 * tileBytes // where sums are while those of the next chunk are made
	roomWeights = 8 * tileBytes // tiles of two blocks
)

const resultBytes = 2 * 4 * dotRows // of a vector and two blocks

// amxProducts are what amxProduct addresses.
type amxProducts struct {
	*gen
	planes  int
	room, y reg.GPVirtual // y is where the next group of vectors, or the next two blocks, go on
	mask    reg.VecVirtual
	// Of a group of vectors, in the frame.
	digits, sums, left operand.Mem
	// The next codes to be unpacked, starting with those that have not been fetched; 0 if all have been.
	ahead operand.Mem
	// How far the second of two tiles is behind the first one.
	half, block operand.Mem
	// The offset of this chunk's sums in the room: 0 or roomOther.
	turn operand.Mem
}

// amxProduct multiplies two blocks of 16 rows at a time, once their codes are bytes, with two tiles of digits, so that four sums
// are made of four tiles that are read.
func amxProduct(g *gen, planes int) {
	g.function(fmt.Sprintf("amx%d", planes), "(y *float32, codes, following *byte, codesStep int, digits *int8, digitsStep int, sums *byte, sumsStep int, scales *byte, "+
		"scalesStep, nextScale, blocks, lines, chunks, tiles, vectors, half int, config, room *byte)", "is a amxProduct.")
	p := &amxProducts{gen: g, planes: planes, room: g.arg("room"), y: g.arg("y"), mask: g.vec()}
	g.VMOVDQU32(g.words("tileCode", func(int) uint32 { return 0x03030303 }), p.mask)
	for _, place := range []*operand.Mem{&p.digits, &p.sums, &p.left, &p.ahead, &p.half, &p.block, &p.turn} {
		*place = g.AllocLocal(8)
	}
	half, block := g.arg("half"), g.arg("lines")
	g.IMUL3Q(operand.U32(planes*tileRow), half, half)
	g.MOVQ(half, p.half)
	g.SHLQ(operand.U8(8), block) // four rows of a tile a line
	g.MOVQ(block, p.block)
	g.MOVQ(operand.I32(0), p.turn)
	g.Load(g.Param("config"), tileBase)
	g.XORQ(tileStride, tileStride)
	g.loadTileConfig()
	g.MOVQ(operand.U32(tileRow), tileStride)

	g.Label("blocks")
	other := p.twoBlocks("codesStep")
	codes, weights := g.arg("codes"), g.GP64()
	g.ADDQ(codes, other)
	g.LEAQ(mem(p.room, roomWeights), weights)
	p.unpack(codes, weights)
	p.unpack(other, weights)

	next, following := g.arg("codesStep"), g.arg("following")
	g.SHLQ(operand.U8(1), next)
	g.ADDQ(g.address("codes"), next)
	g.CMPQ(g.address("blocks"), operand.U8(2))
	g.CMOVQLE(following, next)
	g.MOVQ(next, p.ahead)
	g.MOVQ(g.arg("digits"), p.digits)
	g.MOVQ(g.arg("sums"), p.sums)
	g.MOVQ(g.arg("vectors"), p.left)
	g.Label("groups")
	p.chunks()
	step := g.arg("half")
	g.SHLQ(operand.U8(1), step)
	g.SUBQ(step, p.left)
	g.ADDQ(g.arg("digitsStep"), p.digits)
	g.ADDQ(g.arg("sumsStep"), p.sums)
	g.CMPQ(p.left, operand.U8(0))
	g.JG(operand.LabelRef("groups"))

	for _, name := range []string{"codes", "scales"} {
		both := g.arg(name + "Step")
		g.SHLQ(operand.U8(1), both)
		g.ADDQ(both, g.address(name))
	}
	g.SUBQ(operand.U8(2), g.address("blocks"))
	g.JG(operand.LabelRef("blocks"))
	g.releaseTiles()
	g.end()
}

// twoBlocks returns the argument step, or 0 if only one block is left.
func (p *amxProducts) twoBlocks(step string) reg.GPVirtual {
	bytes, none := p.arg(step), p.GP64()
	p.XORQ(none, none)
	p.CMPQ(p.address("blocks"), operand.U8(1))
	p.CMOVQEQ(none, bytes)
	return bytes
}

// unpack turns lines of codes into bytes, and advances behind them.
func (p *amxProducts) unpack(codes, weights reg.GPVirtual) {
	lines, loop := p.arg("lines"), p.label("lines")
	p.Label(loop)
	line := p.vec()
	p.VMOVDQU32(mem(codes, 0), line)
	for s := range 4 {
		code := p.vec()
		if s == 0 {
			p.VPANDD(p.mask, line, code)
		} else {
			p.VPSRLW(operand.U8(2*s), line, code)
			p.VPANDD(p.mask, code, code)
		}
		p.VMOVDQU32(code, mem(weights, s*tileRow))
	}
	p.ADDQ(operand.U32(dotLine), codes)
	p.ADDQ(operand.U32(4*tileRow), weights)
	p.DECQ(lines)
	p.JNZ(operand.LabelRef(loop))
}

// group is how many vectors two tiles take.
func (p *amxProducts) group() reg.GPVirtual {
	n, left := p.arg("half"), p.GP64()
	p.MOVQ(p.left, left)
	p.SHLQ(operand.U8(1), n)
	p.CMPQ(left, n)
	p.CMOVQLT(left, n)
	return n
}

// chunks adds the products with a group of vectors to y. The sums of a chunk are added while the next one is multiplied: they
// wait for the tiles too long otherwise.
func (p *amxProducts) chunks() {
	digits, weights, chunks := p.GP64(), p.GP64(), p.arg("chunks")
	sums, scales, otherScales := p.GP64(), p.arg("scales"), p.twoBlocks("scalesStep")
	p.MOVQ(p.digits, digits)
	p.MOVQ(p.sums, sums)
	p.LEAQ(mem(p.room, roomWeights), weights)
	p.ADDQ(scales, otherScales)
	loop, first := p.label("chunks"), p.label("first")
	p.multiply(digits, weights)
	p.JMP(operand.LabelRef(first))
	p.Label(loop)
	p.multiply(digits, weights)
	p.results(sums, scales, otherScales)
	p.Label(first)
	p.XORQ(operand.U32(roomOther), p.turn)
	p.DECQ(chunks)
	p.JNZ(operand.LabelRef(loop))
	p.results(sums, scales, otherScales)
	p.MOVQ(operand.I32(0), p.ahead)
	n := p.group()
	p.SHLQ(operand.U8(7), n) // times resultBytes
	p.ADDQ(n, p.y)
}

// multiply leaves the sums of the next chunk in the room.
func (p *amxProducts) multiply(digits, weights reg.GPVirtual) {
	for t := range 4 {
		p.zeroTile(t)
	}
	half, tiles, ahead, step := p.GP64(), p.arg("tiles"), p.GP64(), p.arg("codesStep")
	p.MOVQ(p.half, half)
	p.MOVQ(p.ahead, ahead)
	fetched, done := p.label("fetched"), p.label("multiplied")
	p.TESTQ(ahead, ahead)
	p.JZ(operand.LabelRef(fetched))
	for _, fetch := range []bool{true, false} {
		loop := p.label("tiles")
		p.Label(loop)
		p.MOVQ(weights, tileBase)
		p.loadTile(tileWeights)
		p.ADDQ(p.block, tileBase)
		p.loadTile(tileWeights + 1)
		p.MOVQ(digits, tileBase)
		p.loadTile(tileDigits)
		p.ADDQ(half, tileBase)
		p.loadTile(tileDigits + 1)
		for t := range 4 {
			p.multiplyTiles(tileWeights+t%2, tileDigits+t/2, t)
			if fetch {
				p.PREFETCHT0(mem(ahead, t*dotLine))
				p.PREFETCHT0(indexed(ahead, step, 1, t*dotLine))
			}
		}
		p.ADDQ(operand.U32(tileBytes), weights)
		p.LEAQ(indexed(digits, half, 2, 0), digits)
		if fetch {
			p.ADDQ(operand.U32(tileLines*dotLine), ahead)
		}
		p.DECQ(tiles)
		p.JNZ(operand.LabelRef(loop))
		if fetch {
			p.MOVQ(ahead, p.ahead)
			p.JMP(operand.LabelRef(done))
			p.Label(fetched)
		}
	}
	p.Label(done)
	for t := range 4 {
		p.LEAQ(mem(p.room, roomSums+t*tileBytes), tileBase)
		p.ADDQ(p.turn, tileBase)
		p.storeTile(t)
	}
}

// results adds the sums of the chunk before the one in the room to y.
func (p *amxProducts) results(sums, scales, otherScales reg.GPVirtual) {
	scale := p.vecs(2)
	p.VCVTPH2PS(mem(scales, 0), scale[0])
	p.VCVTPH2PS(mem(otherScales, 0), scale[1])
	y, sum, n, done := p.GP64(), p.GP64(), p.group(), p.label("done")
	p.MOVQ(p.y, y)
	p.MOVQ(sums, sum)
	for half := range 2 {
		at, vectors, loop := p.GP64(), p.arg("half"), p.label("vectors")
		p.MOVQ(p.turn, at)
		p.XORQ(operand.U32(roomOther), at)
		p.LEAQ(indexed(p.room, at, 1, roomSums+half*2*tileBytes), at)
		p.CMPQ(n, vectors)
		p.CMOVQLT(n, vectors)
		p.SUBQ(vectors, n)
		p.Label(loop)
		for b := range 2 {
			all := p.vec()
			p.VMOVDQU32(mem(at, b*tileBytes+(p.planes-1)*tileRow), all)
			for plane := p.planes - 2; plane >= 0; plane-- {
				p.VPSLLD(operand.U8(8), all, all)
				p.VPADDD(mem(at, b*tileBytes+plane*tileRow), all, all)
			}
			dotResult(p.gen, all, scale[b], mem(sum, 0), mem(y, b*4*dotRows))
		}
		p.ADDQ(operand.U32(p.planes*tileRow), at)
		p.ADDQ(operand.U32(resultBytes), y)
		p.ADDQ(operand.U8(sumBytes), sum)
		p.DECQ(vectors)
		p.JNZ(operand.LabelRef(loop))
		if half == 0 {
			p.TESTQ(n, n)
			p.JZ(operand.LabelRef(done))
		}
	}
	p.Label(done)
	step := p.arg("half")
	p.SHLQ(operand.U8(4), step) // a dotSum of each vector of both halves
	p.ADDQ(step, sums)
	p.ADDQ(p.address("nextScale"), scales)
	p.ADDQ(p.address("nextScale"), otherScales)
}
