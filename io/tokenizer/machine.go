package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// A machine matches a program by trying one alternative after another, in the order that .NET, Oniguruma and regexp2 share.
// Every instruction and every character that it looks at is a step. Once the steps are used up, nothing matches.
type machine struct {
	*program
	text      string
	start     int // where the search for this match began
	next      int // no match begins before this
	steps     int // left; negative once used up
	room      int // limit for the stack
	registers []int
	stack     []choice
}

// choice says what to do when an alternative fails.
type choice struct {
	at       int // instruction to continue at, or register to restore
	kind     choiceKind
	pos, end int // position in the text, or the register's old value; and how far a repetition may shrink or grow
}

type choiceKind uint8

const (
	tryOther choiceKind = iota
	tryRepeat
	restore
)

// Enough steps for every pattern that reads each character a few times, and for runs of some thousand characters that it
// reads to the end again and again, but too few for unlimited backtracking.
const (
	stepsPerText = 1 << 18
	stepsPerByte = 2000
	// Open choices; patterns in use leave at most one or two per character.
	roomPerText = 1 << 10
	roomPerByte = 4
)

// search finds the first match that begins at from or later. Check the machine's steps afterwards.
func (m *machine) search(p *program, text string, start, from int) (begin, end int, ok bool) {
	m.program, m.text, m.start = p, text, start
	m.room = roomPerText + roomPerByte*len(text)
	if len(m.registers) < p.registers {
		m.registers = make([]int, p.registers)
	}
	for begin = from; begin <= len(text) && m.steps >= 0; {
		for i := range p.registers {
			m.registers[i] = -1
		}
		m.next = begin
		m.stack = m.stack[:0]
		if end, ok := m.run(0, begin); ok {
			return begin, end, true
		}
		_, width := utf8.DecodeRuneInString(text[begin:])
		begin = max(m.next, begin+max(width, 1))
	}
	return 0, 0, false
}

// run matches the code at pc, up to its opDone, at pos.
func (m *machine) run(pc, pos int) (end int, ok bool) {
	base := len(m.stack)
	for {
		if m.steps--; m.steps < 0 {
			return 0, false
		}
		i := &m.code[pc]
		pc++
		ok := true
		switch i.opcode {
		case opDone:
			return pos, true
		case opFail:
			ok = false
		case opSet:
			var r rune
			if r, pos, ok = m.step(pos, i.backwards); ok {
				ok = i.has(r)
			}
		case opGreedy, opLazy, opAtomic:
			pos, ok = m.repeat(i, pc-1, pos)
		case opJump:
			pc = i.x
		case opSplit:
			m.push(choice{at: i.y, pos: pos})
			pc = i.x
		case opMark:
			m.set(i.x, pos)
		case opMoved:
			if m.registers[i.y] == pos {
				pc = i.x
			}
		case opCapture:
			from := m.registers[i.y]
			m.set(i.x, min(from, pos))
			m.set(i.x+1, max(from, pos))
		case opRef:
			pos, ok = m.again(i, pos)
		case opSub, opAhead, opNot:
			before := len(m.stack)
			end, matched := m.run(pc, pos)
			if matched {
				m.settle(before, i.opcode == opNot)
			}
			ok = matched != (i.opcode == opNot)
			if i.opcode == opSub {
				pos = end
			}
			pc = i.x
		case opLineStart:
			ok = pos == 0 || m.text[pos-1] == '\n'
		case opLineEnd:
			ok = pos == len(m.text) || m.text[pos] == '\n'
		case opTextStart:
			ok = pos == 0
		case opTextEnd:
			ok = pos == len(m.text)
		case opLastLineEnd:
			ok = pos == len(m.text) || m.text[pos:] == "\n"
		case opSearchStart:
			ok = pos == m.start
		case opSearchedThus:
			m.next = max(m.next, pos)
		}
		if !ok {
			if pc, pos, ok = m.back(base); !ok {
				return 0, false
			}
		}
	}
}

// step takes one character.
func (m *machine) step(pos int, backwards bool) (r rune, next int, ok bool) {
	if backwards {
		if pos == 0 {
			return 0, pos, false
		}
		r, n := utf8.DecodeLastRuneInString(m.text[:pos])
		return r, pos - n, true
	}
	if pos == len(m.text) {
		return 0, pos, false
	}
	if c := m.text[pos]; c < utf8.RuneSelf {
		return rune(c), pos + 1, true
	}
	r, n := utf8.DecodeRuneInString(m.text[pos:])
	return r, pos + n, true
}

// repeat takes min to max characters; pc is the instruction's position.
func (m *machine) repeat(i *instruction, pc, pos int) (end int, ok bool) {
	most := i.max
	if i.opcode == opLazy {
		most = i.min
	}
	least, count := pos, 0
	for ; count < most; count++ {
		r, next, ok := m.step(pos, i.backwards)
		if !ok || !i.has(r) {
			break
		}
		if pos = next; count < i.min {
			least = pos
		}
		m.steps--
	}
	switch {
	case count < i.min:
		return pos, false
	case i.opcode == opGreedy && pos != least:
		m.push(choice{at: pc, kind: tryRepeat, pos: pos, end: least})
	case i.opcode == opLazy && i.max > i.min:
		m.push(choice{at: pc, kind: tryRepeat, pos: pos, end: i.max - i.min})
	}
	return pos, true
}

// back undoes everything since the last choice above base, and returns where the other alternative continues.
func (m *machine) back(base int) (pc, pos int, ok bool) {
	for len(m.stack) > base {
		m.steps--
		last := len(m.stack) - 1
		c := m.stack[last]
		m.stack = m.stack[:last]
		switch c.kind {
		case restore:
			m.registers[c.at] = c.pos
			continue
		case tryOther:
			return c.at, c.pos, true
		}
		i := &m.code[c.at]
		if i.opcode == opGreedy {
			_, pos, _ := m.step(c.pos, !i.backwards)
			if c.pos = pos; pos != c.end {
				m.push(c)
			}
			return c.at + 1, pos, true
		}
		if r, pos, ok := m.step(c.pos, i.backwards); ok && i.has(r) {
			c.pos = pos
			if c.end--; c.end > 0 {
				m.push(c)
			}
			return c.at + 1, pos, true
		}
	}
	return 0, 0, false
}

func (m *machine) push(c choice) {
	if len(m.stack) >= m.room {
		m.steps = -1
		return
	}
	m.stack = append(m.stack, c)
}

func (m *machine) set(register, value int) {
	m.push(choice{at: register, kind: restore, pos: m.registers[register]})
	m.registers[register] = value
}

// settle drops the remaining alternatives above base and, with undo, undoes what was done there.
func (m *machine) settle(base int, undo bool) {
	done := m.stack[base:]
	m.stack = m.stack[:base]
	if undo {
		for i := len(done) - 1; i >= 0; i-- {
			if c := done[i]; c.kind == restore {
				m.registers[c.at] = c.pos
			}
		}
		return
	}
	for _, c := range done {
		if c.kind == restore {
			m.stack = append(m.stack, c)
		}
	}
}

// again matches the text of a group once more.
func (m *machine) again(i *instruction, pos int) (end int, ok bool) {
	from, to := m.registers[i.x], m.registers[i.x+1]
	if from < 0 {
		return pos, false
	}
	for at := from; at < to; {
		want, next, _ := m.step(at, false)
		got, after, ok := m.step(pos, false)
		if !ok || got != want && !(i.fold && equalFold(got, want)) {
			return pos, false
		}
		at, pos = next, after
		m.steps--
	}
	return pos, true
}

func equalFold(a, b rune) bool {
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}
