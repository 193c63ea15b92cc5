package tokenizer

import (
	"errors"
	"fmt"
	"math"

	"github.com/dlclark/regexp2/v2/syntax"
)

// A program is a regular expression as instructions for a machine.
type program struct {
	code      []instruction
	registers int
	group     map[int]int // number of a group that is referred to → the first of its two registers
	err       error
}

type opcode uint8

const (
	opDone    opcode = iota // success
	opFail                  // never matches
	opSet                   // one character
	opGreedy                // min to max characters, preferring many
	opLazy                  // the same, preferring few
	opAtomic                // the same, as many as possible without alternatives
	opJump                  // to x
	opSplit                 // to x, and to y if that fails
	opMark                  // store the position in register x
	opMoved                 // to x if the position has not moved since register y was stored
	opCapture               // the group of registers x, x+1 is the text from the position in y to here
	opRef                   // the text of the group of registers x, x+1 again
	opSub                   // the code that follows up to opDone, keeping only its first way to match; then to x
	opAhead                 // the code that follows up to opDone matches here, without moving
	opNot                   // it does not match here
	opLineStart
	opLineEnd
	opTextStart
	opTextEnd
	opLastLineEnd  // at the end of the text or before a final line feed
	opSearchStart  // where the search for this match began
	opSearchedThus // no other match can begin before this position
)

type instruction struct {
	opcode
	backwards, fold bool // within a lookbehind; ignoring case
	chars
	x, y     int
	min, max int
}

// chars is a set of characters.
type chars struct {
	ascii [2]uint64
	set   *syntax.CharSet // nil: a single character
	one   rune
	not   bool // all characters but one
}

func (c *chars) has(r rune) bool {
	if r < 128 {
		return c.ascii[r>>6]>>(r&63)&1 != 0
	}
	return c.slow(r)
}

func (c *chars) slow(r rune) bool {
	if c.set != nil {
		return c.set.Contains(r)
	}
	return (r == c.one) != c.not
}

// maxCode limits the size of a program, in which counted repetitions are expanded.
const maxCode = 1 << 15

// newProgram compiles an expression in regexp2's syntax, which is .NET's.
func newProgram(expr string) (*program, error) {
	// Multiline: in Ruby's syntax ^ and $ always match at lines.
	tree, err := syntax.Parse(expr, syntax.ParseOptions{RegexOptions: syntax.Multiline})
	if err != nil {
		return nil, err
	}
	p := &program{group: map[int]int{}}
	p.findGroups(tree.Root)
	p.node(tree.Root)
	p.emit(instruction{opcode: opDone})
	return p, p.err
}

// findGroups assigns registers to the groups that are referred to; others need none.
func (p *program) findGroups(n *syntax.RegexNode) {
	if _, ok := p.group[n.M]; n.T == syntax.NtRef && !ok {
		p.group[n.M] = p.register()
		p.register()
	}
	for _, child := range n.Children {
		p.findGroups(child)
	}
}

func (p *program) register() int {
	p.registers++
	return p.registers - 1
}

// emit appends an instruction and returns its position.
func (p *program) emit(i instruction) int {
	if len(p.code) >= maxCode {
		p.err = fmt.Errorf("it is too large: more than %d steps when its repetitions are written out", maxCode)
		return 0
	}
	p.code = append(p.code, i)
	return len(p.code) - 1
}

var simpleOps = map[syntax.NodeType]opcode{
	syntax.NtNothing: opFail, syntax.NtBol: opLineStart, syntax.NtEol: opLineEnd, syntax.NtBeginning: opTextStart,
	syntax.NtEnd: opTextEnd, syntax.NtEndZ: opLastLineEnd, syntax.NtStart: opSearchStart, syntax.NtUpdateBumpalong: opSearchedThus,
	syntax.NtOne: opSet, syntax.NtNotone: opSet, syntax.NtSet: opSet,
	syntax.NtOneloop: opGreedy, syntax.NtNotoneloop: opGreedy, syntax.NtSetloop: opGreedy,
	syntax.NtOnelazy: opLazy, syntax.NtNotonelazy: opLazy, syntax.NtSetlazy: opLazy,
	syntax.NtOneloopatomic: opAtomic, syntax.NtNotoneloopatomic: opAtomic, syntax.NtSetloopatomic: opAtomic,
}

// node appends the code of a node of regexp2's tree.
func (p *program) node(n *syntax.RegexNode) {
	if p.err != nil {
		return
	}
	i := instruction{backwards: n.Options&syntax.RightToLeft != 0, fold: n.Options&syntax.IgnoreCase != 0}
	if op, ok := simpleOps[n.T]; ok {
		i.opcode, i.min, i.max = op, n.M, n.N
		i.chars = charsOf(n)
		p.emit(i)
		return
	}
	switch n.T {
	case syntax.NtEmpty:
	case syntax.NtMulti:
		for at := range n.Str {
			if i.backwards {
				at = len(n.Str) - 1 - at
			}
			i.opcode, i.chars = opSet, newChars(nil, n.Str[at], false)
			p.emit(i)
		}
	case syntax.NtRef:
		i.opcode, i.x = opRef, p.group[n.M]
		if p.emit(i); i.backwards {
			p.err = errors.New("a reference within a lookbehind is not supported")
		}
	case syntax.NtConcatenate, syntax.NtGroup:
		p.children(n)
	case syntax.NtAlternate:
		p.alternate(n.Children)
	case syntax.NtLoop, syntax.NtLazyloop:
		p.loop(n)
	case syntax.NtCapture:
		p.capture(n)
	case syntax.NtAtomic:
		p.sub(opSub, n)
	case syntax.NtPosLook:
		p.sub(opAhead, n)
	case syntax.NtNegLook:
		p.sub(opNot, n)
	default:
		p.err = fmt.Errorf("%s is not supported", n.Description())
	}
}

func charsOf(n *syntax.RegexNode) chars { return newChars(n.Set, n.Ch, n.IsNotoneFamily()) }

func newChars(set *syntax.CharSet, one rune, not bool) chars {
	c := chars{set: set, one: one, not: not}
	for r := range rune(128) {
		if c.slow(r) {
			c.ascii[r>>6] |= 1 << (r & 63)
		}
	}
	return c
}

func (p *program) children(n *syntax.RegexNode) {
	for _, child := range n.Children {
		p.node(child)
	}
}

func (p *program) alternate(choices []*syntax.RegexNode) {
	var ends []int
	for i, choice := range choices {
		if i == len(choices)-1 {
			p.node(choice)
			break
		}
		split := p.emit(instruction{opcode: opSplit, x: len(p.code) + 1})
		p.node(choice)
		ends = append(ends, p.emit(instruction{opcode: opJump}))
		p.code[split].y = len(p.code)
	}
	for _, end := range ends {
		p.code[end].x = len(p.code)
	}
}

// loop expands repetitions: the required ones one after another, then either a loop, or one after another the optional ones,
// each with an exit. A repetition that matches nothing is the last one.
func (p *program) loop(n *syntax.RegexNode) {
	var outs []int // instructions that exit to the end
	way := func(i instruction) { outs = append(outs, p.emit(i)) }
	body := func() {
		if n.Children[0].ComputeMinLength() > 0 {
			p.children(n)
			return
		}
		r := p.register()
		p.emit(instruction{opcode: opMark, x: r})
		p.children(n)
		way(instruction{opcode: opMoved, y: r})
	}
	// again jumps to the instruction at, first or, in a lazy loop, as the last resort.
	again := func(at int) { way(instruction{opcode: opSplit, x: at, y: at}) }
	for range n.M - 1 {
		if p.children(n); p.err != nil {
			return
		}
	}
	if n.N == math.MaxInt32 {
		if n.M == 0 {
			again(len(p.code) + 1)
		}
		start := len(p.code)
		body()
		again(start)
	} else {
		if n.M > 0 {
			p.children(n)
		}
		for range n.N - n.M {
			if p.err != nil {
				return
			}
			again(len(p.code) + 1)
			body()
		}
	}
	for _, at := range outs {
		switch i := &p.code[at]; {
		case i.opcode == opSplit && n.T == syntax.NtLoop:
			i.y = len(p.code)
		default:
			i.x = len(p.code)
		}
	}
}

func (p *program) capture(n *syntax.RegexNode) {
	if n.N != -1 {
		p.err = errors.New("a group that ends another is not supported")
	}
	group, wanted := p.group[n.M]
	if !wanted {
		p.children(n)
		return
	}
	mark := p.register()
	p.emit(instruction{opcode: opMark, x: mark})
	p.children(n)
	p.emit(instruction{opcode: opCapture, x: group, y: mark})
}

func (p *program) sub(op opcode, n *syntax.RegexNode) {
	at := p.emit(instruction{opcode: op})
	p.children(n)
	p.emit(instruction{opcode: opDone})
	p.code[at].x = len(p.code)
}
