package jsonform

import "slices"

// pattern is the automaton of a regular expression over characters. It only accepts texts that can be completed, and written
// in JSON without escapes other than the short ones.
type pattern struct {
	starts  []rune // first characters of ranges of characters that are treated alike
	class   []int  // of each range, -1 if it cannot be written
	classes int
	next    []int32 // by state and class, -1 for none
	final   []bool
}

// step returns the state after a character, or -1.
func (p *pattern) step(state int32, r rune) int32 {
	return p.behind(state, p.at(r))
}

// at returns the range that contains a character.
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

// between reports whether some character from low to high can follow.
func (p *pattern) between(state int32, low, high rune) bool {
	for i := p.at(low); i < len(p.starts) && p.starts[i] <= high; i++ {
		if p.behind(state, i) >= 0 {
			return true
		}
	}
	return false
}

// shortEscapes are JSON's escapes of a single letter.
var shortEscapes = map[byte]rune{'"': '"', '\\': '\\', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// patterned is the rest of a string that must match a pattern.
type patterned struct {
	p       *pattern
	state   int32
	char    char
	value   rune // of a character, from its bytes so far
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
