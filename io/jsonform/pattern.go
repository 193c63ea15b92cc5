package jsonform

import "slices"

// pattern is the automaton of a regular expression over characters. It goes only where a text can be finished that JSON writes with
// no escapes but the short ones.
type pattern struct {
	starts  []rune // where each range of characters begins that are alike
	class   []int  // of each range, -1 of what is not written
	classes int
	next    []int32 // by state and class, -1 for no way
	final   []bool
}

// step is the state behind a character, or -1.
func (p *pattern) step(state int32, r rune) int32 {
	return p.behind(state, p.at(r))
}

// at is the range that a character is in.
func (p *pattern) at(r rune) int {
	i, found := slices.BinarySearch(p.starts, r)
	if !found {
		i--
	}
	return i
}

func (p *pattern) behind(state int32, at int) int32 {
	if p.class[at] < 0 {
		return -1
	}
	return p.next[int(state)*p.classes+p.class[at]]
}

// between says whether a character from low to high goes on.
func (p *pattern) between(state int32, low, high rune) bool {
	for i := p.at(low); i < len(p.starts) && p.starts[i] <= high; i++ {
		if p.behind(state, i) >= 0 {
			return true
		}
	}
	return false
}

// shortEscapes are the characters that JSON has a letter for, and those that it needs one for.
var shortEscapes = map[byte]rune{'"': '"', '\\': '\\', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// patterned is the rest of a string that a pattern holds.
type patterned struct {
	p       *pattern
	state   int32
	char    char
	value   rune // of the bytes of a character so far
	escaped bool
}

func (m patterned) optional() bool { return false }
func (m patterned) step(a *automaton, b byte, then *stack) {
	take := func(r rune) {
		if to := m.p.step(m.state, r); to >= 0 {
			a.emit(a.push(patterned{p: m.p, state: to}, then))
		}
	}
	if m.escaped {
		if r, ok := shortEscapes[b]; ok {
			take(r)
		}
		return
	}
	if m.char.whole() {
		switch {
		case b == '"':
			if m.p.final[m.state] {
				a.emit(then)
			}
			return
		case b == '\\':
			for _, r := range shortEscapes {
				if m.p.step(m.state, r) >= 0 {
					m.escaped = true
				}
			}
			if m.escaped {
				a.emit(a.push(m, then))
			}
			return
		case b < ' ':
			return
		}
	}
	next, ok := m.char.next(b)
	switch {
	case !ok:
		return
	case !m.char.whole():
		m.value = m.value<<6 | rune(b&0x3f)
	case next.whole():
		m.value = rune(b)
	default:
		m.value = rune(b & (0x3f >> next.missing))
	}
	if next.whole() {
		take(m.value)
		return
	}
	m.char = next
	rest := 6 * (int(next.missing) - 1)
	low, high := (m.value<<6|rune(next.low&0x3f))<<rest, (m.value<<6|rune(next.high&0x3f)+1)<<rest-1
	if m.p.between(m.state, low, high) {
		a.emit(a.push(m, then))
	}
}
