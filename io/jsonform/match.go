package jsonform

import "strings"

// matcher is one expectation on the stack: a small, immutable, comparable value.
type matcher interface {
	// step emits each stack that is possible after b; then is what is expected after the matcher.
	step(a *automaton, b byte, then *stack)
	// optional reports whether the matcher may end without another byte.
	optional() bool
}

// stack is what is expected: a matcher, then the rest. Equal stacks are identical.
type stack struct {
	matcher
	then *stack // nil at the end of the text
	id   uint32
}

// space is white space between two parts of a value: nothing, a space, or a newline with the indentation of a pretty print.
type space struct{ depth, after int }

func (m space) optional() bool { return true }
func (m space) step(a *automaton, b byte, then *stack) {
	switch {
	case b == ' ' && m.after == 0:
		a.emit(then)
	case b == '\n' && m.after == 0:
		a.emit(a.push(space{m.depth, 1}, then))
	case b == ' ' && m.after > 0 && m.after <= 4*m.depth:
		a.emit(a.push(space{m.depth, m.after + 1}, then))
	}
}

// literal is a fixed text, of which some bytes have been read.
type literal struct {
	text string
	at   int
}

func (m literal) optional() bool { return false }
func (m literal) step(a *automaton, b byte, then *stack) {
	if m.text[m.at] != b {
		return
	}
	if m.at++; m.at == len(m.text) {
		a.emit(then)
		return
	}
	a.emit(a.push(m, then))
}

// value is any value of a node, nested in `depth` others.
type value struct {
	n     *node
	depth int
}

func (m value) optional() bool { return false }
func (m value) step(a *automaton, b byte, then *stack) {
	n := m.n
	if m.depth+n.depth > deepest {
		return
	}
	switch n.kind {
	case choice:
		for _, c := range n.choices {
			value{c, m.depth}.step(a, b, then)
		}
	case literals:
		for _, t := range n.texts {
			literal{text: t}.step(a, b, then)
		}
	case text:
		if b == '"' && n.pattern != nil {
			a.emit(a.push(patterned{p: n.pattern}, then))
		} else if b == '"' {
			a.emit(a.push(chars{n: n}, then))
		}
	case number:
		numeral{n: n}.step(a, b, then)
	case array:
		if b == '[' {
			a.emit(a.push(space{depth: m.depth + 1}, a.push(items{n, 0, m.depth + 1, true}, then)))
		}
	case members:
		if b == '{' {
			a.emit(a.push(space{depth: m.depth + 1}, a.push(key{n, 0, m.depth + 1, true}, then)))
		}
	case sequence:
		for i := len(n.choices) - 1; i > 0; i-- {
			then = a.push(value{n: n.choices[i]}, then)
		}
		value{n: n.choices[0]}.step(a, b, then)
	case parameterLines:
		lines{of: n}.step(a, b, then)
	}
}

// items is what may follow white space in an array with n items: its end, or the next item, which needs a comma before it
// unless it is the first.
type items struct {
	of       *node
	n, depth int
	opens    bool
}

func (m items) optional() bool { return false }
func (m items) step(a *automaton, b byte, then *stack) {
	if b == ']' && m.n >= m.of.least {
		a.emit(then)
		return
	}
	next := m.of.rest
	if m.n < len(m.of.first) {
		next = m.of.first[m.n]
	}
	if next == nil || m.of.most >= 0 && m.n >= m.of.most || m.depth+next.depth > deepest {
		return
	}
	if !m.opens {
		if b == ',' {
			a.emit(a.push(space{depth: m.depth}, a.push(item{m}, then)))
		}
		return
	}
	item{m}.step(a, b, then)
}

// item is the next item of an array.
type item struct{ items }

func (m item) step(a *automaton, b byte, then *stack) {
	next := m.of.rest
	if m.n < len(m.of.first) {
		next = m.of.first[m.n]
	}
	m.n++
	if m.of.most < 0 { // above that the number makes no difference
		m.n = min(m.n, max(m.of.least, len(m.of.first)))
	}
	m.opens = false
	value{next, m.depth}.step(a, b, a.push(space{depth: m.depth}, a.push(m.items, then)))
}

// key is what may follow white space in an object whose members before i have been written or left out: the name of the next
// member or, at the start of the object, its end.
type key struct {
	of       *node
	i, depth int
	opens    bool
}

func (m key) optional() bool { return false }
func (m key) step(a *automaton, b byte, then *stack) {
	if b == '}' && m.opens && m.of.closes(m.i) {
		a.emit(then)
	}
	if b != '"' {
		return
	}
	behind := func(n *node, i int) *stack {
		return a.push(space{depth: m.depth}, a.push(value{n, m.depth}, a.push(space{depth: m.depth}, a.push(comma{m.of, i, m.depth}, then))))
	}
	for i := m.i; i < len(m.of.members); i++ {
		one := m.of.members[i]
		if m.depth+one.value.depth <= deepest {
			a.emit(a.push(literal{text: one.text}, behind(one.value, i+1)))
		}
		if one.required {
			return
		}
	}
	if m.others() {
		a.emit(a.push(name{n: m.of}, behind(m.of.rest, len(m.of.members))))
	}
}

// others reports whether members may follow whose names are not in the schema.
func (m key) others() bool { return m.of.rest != nil && m.depth+m.of.rest.depth <= deepest }

// comma is what may follow a member and white space.
type comma struct {
	of       *node
	i, depth int
}

func (m comma) optional() bool { return false }
func (m comma) step(a *automaton, b byte, then *stack) {
	next := key{m.of, m.i, m.depth, false}
	switch {
	case b == '}' && m.of.closes(m.i):
		a.emit(then)
	case b == ',' && (next.others() || next.reaches()):
		a.emit(a.push(space{depth: m.depth}, a.push(next, then)))
	}
}

// reaches reports whether a member may follow whose name is in the schema.
func (m key) reaches() bool {
	for _, one := range m.of.members[m.i:] {
		if m.depth+one.value.depth <= deepest {
			return true
		}
		if one.required {
			return false
		}
	}
	return false
}

// name is the rest of a member's name that is not one of the schema's. It has no escapes, which could spell one of those.
type name struct {
	n     *node
	begun string // the name so far, while it is a prefix of one of them
	other bool   // it is certainly none of them
	char  char
}

func (m name) optional() bool { return false }
func (m name) step(a *automaton, b byte, then *stack) {
	if b == '"' && m.char.whole() {
		if m.other || !m.n.names[m.begun] {
			a.emit(a.push(literal{text: ":"}, then))
		}
		return
	}
	next, ok := m.char.next(b)
	if !ok || b < ' ' || b == '\\' {
		return
	}
	m.char = next
	if !m.other {
		m.begun += string([]byte{b})
		if m.other = !m.n.begins(m.begun); m.other {
			m.begun = ""
		}
	}
	a.emit(a.push(m, then))
}

// begins reports whether a member's name begins with s.
func (n *node) begins(s string) bool {
	for _, m := range n.members {
		if strings.HasPrefix(m.name, s) {
			return true
		}
	}
	return false
}
