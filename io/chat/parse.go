package chat

import (
	"fmt"
	"strings"
)

// parser builds the tree of a template. On an error it panics with a *loadError.
type parser struct {
	tokens []token
	pos    int
	depth  int // open expressions and blocks
	loops  int // enclosing loops within the same macro
}

func (p *parser) cur() token { return p.tokens[p.pos] }

func (p *parser) look() token { return p.tokens[min(p.pos+1, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (p *parser) failAt(line int, format string, args ...any) {
	panic(&loadError{line: line, message: fmt.Sprintf(format, args...)})
}

func (p *parser) fail(format string, args ...any) { p.failAt(p.cur().line, format, args...) }

func (p *parser) is(k kind) bool { return p.cur().kind == k }

func (p *parser) skip(k kind) bool {
	if p.is(k) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(s string) bool {
	if p.cur().name(s) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(k kind) token {
	if !p.is(k) {
		p.fail("got %v, want '%s'", p.cur(), k)
	}
	return p.next()
}

func (p *parser) expectName(s string) {
	if !p.skipName(s) {
		p.fail("got %v, want '%s'", p.cur(), s)
	}
}

func (p *parser) deeper() {
	if p.depth++; p.depth > maxNesting {
		p.fail("expressions or blocks nest deeper than %d", maxNesting)
	}
}

// body parses statements up to one of the end tags, and returns the tag that ended it. What follows the tag's name has not
// been read.
func (p *parser) body(tag string, line int, ends ...string) ([]stmt, string) {
	p.skip(":")
	p.expect(tokTagEnd)
	list, end := p.statements(ends)
	if end == "" {
		p.failAt(line, "'%s' has no '%s'", tag, ends[len(ends)-1])
	}
	return list, end
}

func (p *parser) statements(ends []string) (list []stmt, end string) {
	p.deeper()
	defer func() { p.depth-- }()
	var out *outputStmt
	add := func(e expr, line int) {
		if out == nil {
			out = &outputStmt{line: line}
			list = append(list, out)
		}
		out.parts = append(out.parts, e)
	}
	for {
		t := p.next()
		switch t.kind {
		case tokEOF:
			return list, ""
		case tokData:
			add(&textExpr{t.text}, t.line)
		case tokVarBegin:
			add(p.tuple(true, nil, false), t.line)
			p.expect(tokVarEnd)
		case tokTagBegin:
			out = nil
			for _, e := range ends {
				if p.skipName(e) {
					return list, e
				}
			}
			if t := p.cur(); len(ends) > 0 && t.kind == tokName && strings.HasPrefix(t.text, "end") {
				p.fail("got '%s', want '%s'", t.text, strings.Join(ends, "' or '"))
			}
			list = append(list, p.statement())
			p.expect(tokTagEnd)
		}
	}
}

func (p *parser) statement() stmt {
	t := p.cur()
	if t.kind != tokName {
		p.fail("got %v, want the name of a tag", t)
	}
	p.next()
	switch t.text {
	case "for":
		return p.forLoop(t.line)
	case "if":
		return p.ifElse(t.line)
	case "set":
		return p.set(t.line)
	case "macro":
		return p.macro(t.line)
	case "call":
		return p.callBlock(t.line)
	case "filter":
		f := p.filters(nil, true)
		body, _ := p.body("filter", t.line, "endfilter")
		return &filterStmt{body: body, filter: f.(*filterExpr), line: t.line}
	case "with":
		return p.with(t.line)
	case "print":
		out := &outputStmt{line: t.line}
		for !p.is(tokTagEnd) {
			if len(out.parts) > 0 {
				p.expect(",")
			}
			out.parts = append(out.parts, p.expression(true))
		}
		return out
	case "generation":
		g := &generationStmt{macroDef{line: t.line}}
		g.macroDef.body = p.function("generation", t.line, "endgeneration")
		return g
	case "break", "continue":
		if p.loops == 0 {
			p.failAt(t.line, "'%s' outside of a loop", t.text)
		}
		if t.text == "break" {
			return &flowStmt{flowBreak}
		}
		return &flowStmt{flowContinue}
	case "include", "import", "from", "extends":
		p.failAt(t.line, "'%s' is refused: a chat template may not read other files", t.text)
	case "block", "autoescape", "trans", "do", "debug":
		p.failAt(t.line, "the tag '%s' is not supported", t.text)
	}
	p.failAt(t.line, "unknown tag '%s'", t.text)
	return nil
}

func (p *parser) forLoop(line int) stmt {
	f := &forStmt{line: line}
	f.target = p.target(func(t token) bool { return t.name("in") }, false)
	p.expectName("in")
	f.iter = p.tuple(false, func(t token) bool { return t.name("recursive") }, false)
	if p.skipName("if") {
		f.test = p.expression(true)
	}
	f.recursive = p.skipName("recursive")
	p.loops++
	body, end := p.body("for", line, "else", "endfor")
	p.loops--
	f.body = body
	if end == "else" {
		f.other, _ = p.body("for", line, "endfor")
	}
	return f
}

func (p *parser) ifElse(line int) stmt {
	n := &ifStmt{}
	for {
		n.lines = append(n.lines, p.cur().line)
		n.tests = append(n.tests, p.tuple(false, nil, false))
		body, end := p.body("if", line, "elif", "else", "endif")
		n.bodies = append(n.bodies, body)
		if end == "else" {
			n.other, end = p.body("if", line, "endif")
		}
		if end == "endif" {
			return n
		}
	}
}

func (p *parser) set(line int) stmt {
	target := p.target(nil, true)
	if p.skip("=") {
		return &setStmt{target: target, val: p.tuple(true, nil, false), line: line}
	}
	s := &setBlockStmt{target: target, line: line}
	if p.is("|") {
		s.filter = p.filters(nil, false).(*filterExpr)
	}
	s.body, _ = p.body("set", line, "endset")
	return s
}

// function parses the body of a macro or call block, which cannot reach enclosing loops.
func (p *parser) function(tag string, line int, end string) []stmt {
	loops := p.loops
	p.loops = 0
	body, _ := p.body(tag, line, end)
	p.loops = loops
	return body
}

func (p *parser) macro(line int) stmt {
	name := p.expect(tokName)
	m := &macroStmt{target: &nameExpr{name: name.text, use: useStore, line: name.line}}
	p.checkAssignable(m.target, line)
	m.macroDef.name, m.macroDef.line = name.text, line
	p.signature(&m.macroDef)
	m.body = p.function("macro", line, "endmacro")
	return m
}

func (p *parser) callBlock(line int) stmt {
	c := &callStmt{macroDef: macroDef{line: line}}
	if p.is("(") {
		p.signature(&c.macroDef)
	}
	call, ok := p.expression(true).(*callExpr)
	if !ok {
		p.failAt(line, "'call' wants a call")
	}
	c.call = call
	c.body = p.function("call", line, "endcall")
	return c
}

func (p *parser) signature(m *macroDef) {
	p.expect("(")
	for !p.is(")") {
		if len(m.args) > 0 {
			p.expect(",")
		}
		t := p.expect(tokName)
		arg := &nameExpr{name: t.text, use: useParam, line: t.line}
		p.checkAssignable(arg, t.line)
		for _, a := range m.args {
			if a.name == arg.name {
				p.failAt(t.line, "the argument '%s' comes twice", arg.name)
			}
		}
		if p.skip("=") {
			m.defaults = append(m.defaults, p.expression(true))
		} else if len(m.defaults) > 0 {
			p.fail("an argument without a default follows one that has one")
		}
		m.args = append(m.args, arg)
	}
	p.next()
}

func (p *parser) with(line int) stmt {
	w := &withStmt{line: line}
	for !p.is(tokTagEnd) {
		if len(w.targets) > 0 {
			p.expect(",")
		}
		target := p.target(nil, false)
		setUse(target, useParam)
		w.targets = append(w.targets, target)
		p.expect("=")
		w.values = append(w.values, p.expression(true))
	}
	w.body, _ = p.body("with", line, "endwith")
	return w
}

// target parses an assignment target: a name, a tuple of names or, where namespaces are allowed, ns.attr.
func (p *parser) target(end func(token) bool, namespaces bool) expr {
	line := p.cur().line
	t := p.tupleOf(func() expr { return p.primary(namespaces) }, end, false)
	setUse(t, useStore)
	p.checkAssignable(t, line)
	return t
}

func setUse(e expr, u use) {
	switch e := e.(type) {
	case *nameExpr:
		e.use = u
	case *tupleExpr:
		for _, item := range e.items {
			setUse(item, u)
		}
	}
}

func (p *parser) checkAssignable(e expr, line int) {
	switch e := e.(type) {
	case *nsRef:
	case *nameExpr:
		switch e.name {
		case "true", "false", "none", "True", "False", "None":
			p.failAt(line, "cannot assign to '%s'", e.name)
		}
	case *tupleExpr:
		for _, item := range e.items {
			p.checkAssignable(item, line)
		}
	default:
		p.failAt(line, "cannot assign to an expression")
	}
}
