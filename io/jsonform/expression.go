package jsonform

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode"
)

// Limits of regular expressions. Work is counted over the whole schema.
const (
	mostExpression   = 1000    // bytes
	mostInstructions = 2000    // of one compiled expression
	mostPlaces       = 1 << 13 // states of its automaton
	mostMoves        = 1 << 20 // states by classes of characters
	mostWork         = 1 << 25 // instructions visited while building it
)

// pattern builds the automaton of the texts of least to most characters (most below 0: no limit) that contain a match of a
// regular expression, which is what JSON schemas mean. The syntax is RE2's, with a dot that matches no line end of any kind,
// as in ECMAScript.
func (c *compiler) pattern(expression string, least, most int, at string) (*pattern, error) {
	if len(expression) > mostExpression {
		return nil, refuse(at, "got %d bytes, want at most %d", len(expression), mostExpression)
	}
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, refuse(at, "is not held: %v", err)
	}
	if n := instructions(re); n > mostInstructions {
		return nil, refuse(at, "is not held: it repeats too much, to %d steps, want at most %d", n, mostInstructions)
	}
	narrowPoints(re)
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, refuse(at, "is not held: %v", err)
	}
	b := &patternMaker{prog: prog, least: least, most: most, work: &c.work, states: map[string]int32{}, seen: make([]int, len(prog.Inst))}
	b.sortCharacters()
	if !b.walk() {
		return nil, refuse(at, "is not held: it has too many states")
	}
	if !b.prune() {
		return nil, refuse(at, "no text that can be written fits it")
	}
	made := b.pattern
	return &made, nil
}

// instructions limits the size of a program before it is compiled.
func instructions(re *syntax.Regexp) int {
	n := 2
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Max, re.Min+1)
	}
	return n
}

func narrowPoints(re *syntax.Regexp) {
	if re.Op == syntax.OpAnyCharNotNL {
		re.Op, re.Rune = syntax.OpCharClass, []rune{0, '\n' - 1, '\n' + 1, '\r' - 1, '\r' + 1, 0x2027, 0x202a, unicode.MaxRune}
	}
	for _, sub := range re.Sub {
		narrowPoints(sub)
	}
}

// patternMaker builds a pattern from a compiled expression, by sets of its instructions.
type patternMaker struct {
	pattern
	prog        *syntax.Prog
	least, most int
	work        *int

	matches [][]bool // by instruction (nil if it consumes no character) and class
	shown   []rune   // one character of each class
	places  []position
	states  map[string]int32
	seen    []int // the step in which an instruction was last visited
	steps   int
}

// position is a state while the automaton is built.
type position struct {
	before rune     // kind of the previous character; -1 at the beginning of the text
	at     []uint32 // instructions, sorted; none once a match has been found
	found  bool
	count  int
}

// sortCharacters groups the characters that no instruction distinguishes.
func (b *patternMaker) sortCharacters() {
	// Characters below a space are only written if JSON has a short escape for them. Surrogates are not characters.
	starts := []rune{0, '\b', '\t', '\n', '\v', '\f', '\r', '\r' + 1, ' ', '0', '9' + 1, 'A', 'Z' + 1, '_', '_' + 1, 'a', 'z' + 1, 0xd800, 0xe000}
	kinds := map[string][]int{} // instructions that match the same characters
	for i, inst := range b.prog.Inst {
		var name []byte
		switch inst.Op {
		case syntax.InstRune, syntax.InstRune1:
			name = append(name, byte(inst.Arg)&byte(syntax.FoldCase))
			for i, r := range inst.Rune {
				starts = append(starts, r+rune(i%2), r+1)
				if len(inst.Rune) == 1 {
					for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
						starts = append(starts, f, f+1)
					}
				}
				name = binary.LittleEndian.AppendUint32(name, uint32(r))
			}
		case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			name = []byte{byte(inst.Op), 0, 0}
		default:
			continue
		}
		kinds[string(name)] = append(kinds[string(name)], i)
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	b.starts = slices.DeleteFunc(starts, func(r rune) bool { return r > unicode.MaxRune })
	b.matches = make([][]bool, len(b.prog.Inst))
	var all [][]int
	for _, insts := range kinds {
		all = append(all, insts)
	}
	classes := map[string]int{}
	for _, r := range b.starts {
		if r < ' ' && (r < '\b' || r == '\v' || r > '\r') || r >= 0xd800 && r < 0xe000 {
			b.class = append(b.class, -1)
			continue
		}
		name := []byte{byte(b.kindOf(r))}
		for _, insts := range all {
			name = append(name, 0)
			if b.prog.Inst[insts[0]].MatchRune(r) {
				name[len(name)-1] = 1
			}
		}
		class, known := classes[string(name)]
		if !known {
			class = len(b.shown)
			classes[string(name)], b.shown = class, append(b.shown, r)
			for i, insts := range all {
				for _, inst := range insts {
					b.matches[inst] = append(b.matches[inst], name[i+1] == 1)
				}
			}
		}
		b.class = append(b.class, class)
	}
	b.classes = len(b.shown)
}

// kindOf returns a representative of the characters that ^, $, \b and \B treat alike.
func (b *patternMaker) kindOf(r rune) rune {
	switch {
	case r == '\n':
		return '\n'
	case syntax.IsWordChar(r):
		return 'a'
	}
	return ' '
}

// follow returns the instructions that consume the next character, and whether a match was found before it.
func (b *patternMaker) follow(from []uint32, flags syntax.EmptyOp) (takes []uint32, found bool) {
	b.steps++
	todo := slices.Clone(from)
	for len(todo) > 0 && !found {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if b.seen[i] == b.steps {
			continue
		}
		b.seen[i] = b.steps
		*b.work++
		switch inst := &b.prog.Inst[i]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, inst.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^flags == 0 {
				todo = append(todo, inst.Out)
			}
		case syntax.InstMatch:
			found = true
		case syntax.InstFail:
		default:
			takes = append(takes, i)
		}
	}
	return takes, found
}

// walk finds all states. It returns false if there are too many.
func (b *patternMaker) walk() bool {
	b.state(position{before: -1, at: []uint32{uint32(b.prog.Start)}})
	for i := 0; i < len(b.places); i++ {
		p := b.places[i]
		found := p.found
		if !found {
			_, found = b.follow(p.at, syntax.EmptyOpContext(p.before, -1))
		}
		b.final = append(b.final, found && p.count >= b.least)
		for class, r := range b.shown {
			b.next = append(b.next, b.to(p, class, r))
		}
		if len(b.places) > mostPlaces || len(b.next) > mostMoves || *b.work > mostWork {
			return false
		}
	}
	return true
}

// to returns the state after a character.
func (b *patternMaker) to(p position, class int, r rune) int32 {
	*b.work++
	if b.most >= 0 && p.count >= b.most {
		return -1
	}
	q := position{found: p.found, count: p.count + 1}
	if b.most < 0 {
		q.count = min(q.count, b.least)
	}
	if !q.found {
		var takes []uint32
		takes, q.found = b.follow(p.at, syntax.EmptyOpContext(p.before, r))
		if !q.found {
			q.before, q.at = b.kindOf(r), []uint32{uint32(b.prog.Start)}
			for _, i := range takes {
				*b.work++
				if b.matches[i][class] {
					q.at = append(q.at, b.prog.Inst[i].Out)
				}
			}
			slices.Sort(q.at)
			q.at = slices.Compact(q.at)
		}
	}
	return b.state(q)
}

// state returns the number of a state.
func (b *patternMaker) state(p position) int32 {
	name := binary.LittleEndian.AppendUint32(nil, uint32(p.count))
	name = binary.LittleEndian.AppendUint32(name, uint32(p.before))
	name = append(name, 0)
	if p.found {
		name[8] = 1
	}
	for _, i := range p.at {
		name = binary.LittleEndian.AppendUint32(name, i)
	}
	n, known := b.states[string(name)]
	if !known {
		n = int32(len(b.places))
		b.states[string(name)] = n
		b.places = append(b.places, p)
	}
	return n
}

// prune removes states that cannot reach an end, and reports whether any are left.
func (b *patternMaker) prune() bool {
	before := make([][]int32, len(b.final))
	for i, to := range b.next {
		if to >= 0 {
			before[to] = append(before[to], int32(i/b.classes))
		}
	}
	lives := slices.Clone(b.final)
	var todo []int32
	for i, final := range b.final {
		if final {
			todo = append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range before[i] {
			if !lives[from] {
				lives[from] = true
				todo = append(todo, from)
			}
		}
	}
	for i, to := range b.next {
		if to >= 0 && !lives[to] {
			b.next[i] = -1
		}
	}
	return lives[0]
}
