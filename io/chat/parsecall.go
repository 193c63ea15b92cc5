package chat

import "strconv"

func (p *parser) subscript(e expr) expr {
	t := p.next()
	if t.kind == "." {
		attr := p.next()
		switch attr.kind {
		case tokName:
			return &attrExpr{of: e, name: attr.text, line: t.line}
		case tokInt:
			n, err := strconv.ParseInt(attr.text, 10, 64)
			if err != nil {
				p.failAt(attr.line, "got '%s', want a name or number", attr.text)
			}
			return &itemExpr{of: e, key: &constExpr{n}, line: t.line}
		}
		p.failAt(attr.line, "got %v, want a name or number", attr)
	}
	var args []expr
	for !p.is("]") {
		if len(args) > 0 {
			p.expect(",")
		}
		args = append(args, p.subscribed())
	}
	p.next()
	if len(args) == 1 {
		return &itemExpr{of: e, key: args[0], line: t.line}
	}
	for _, a := range args {
		if _, ok := a.(*sliceExpr); ok {
			p.failAt(t.line, "a slice among several indices is not supported")
		}
	}
	return &itemExpr{of: e, key: &tupleExpr{items: args, line: t.line}, line: t.line}
}

func (p *parser) subscribed() expr {
	var start expr
	if !p.is(":") {
		start = p.expression(true)
		if !p.is(":") {
			return start
		}
	}
	p.next()
	s := &sliceExpr{start: start}
	if !p.is(":") && !p.is("]") && !p.is(",") {
		s.stop = p.expression(true)
	}
	if p.skip(":") && !p.is("]") && !p.is(",") {
		s.step = p.expression(true)
	}
	return s
}

func (p *parser) callArgs() (a argList) {
	line := p.expect("(").line
	ensure := func(ok bool) {
		if !ok {
			p.failAt(line, "invalid syntax for a call")
		}
	}
	for comma := false; !p.is(")"); comma = true {
		if comma {
			p.expect(",")
			if p.is(")") {
				break
			}
		}
		switch {
		case p.skip("*"):
			ensure(a.star == nil && a.stars == nil)
			a.star = p.expression(true)
		case p.skip("**"):
			ensure(a.stars == nil)
			a.stars = p.expression(true)
		case p.is(tokName) && p.look().kind == "=":
			ensure(a.stars == nil)
			name := p.next().text
			p.next()
			for _, k := range a.kwargs {
				if k.name == name {
					p.failAt(line, "the argument '%s' comes twice", name)
				}
			}
			a.kwargs = append(a.kwargs, kwarg{name, p.expression(true)})
		default:
			ensure(a.star == nil && a.stars == nil && len(a.kwargs) == 0)
			a.args = append(a.args, p.expression(true))
		}
	}
	p.next()
	return a
}

func (p *parser) call(e expr) expr {
	line := p.cur().line
	return &callExpr{of: e, argList: p.callArgs(), line: line}
}

func (p *parser) dottedName() (string, int) {
	t := p.expect(tokName)
	name := t.text
	for p.skip(".") {
		name += "." + p.expect(tokName).text
	}
	return name, t.line
}

// filters parses | name(args) | …; inline means the first of {% filter name %}, which has no bar.
func (p *parser) filters(e expr, inline bool) expr {
	for n := 0; p.is("|") || inline; n++ {
		p.chain(n)
		if !inline {
			p.next()
		}
		inline = false
		f := &filterExpr{of: e}
		f.name, f.line = p.dottedName()
		if p.is("(") {
			f.argList = p.callArgs()
		}
		e = f
	}
	return e
}

func (p *parser) test(e expr) expr {
	line := p.next().line
	negated := p.skipName("not")
	t := &testExpr{of: e}
	t.name, _ = p.dottedName()
	t.line = line
	c := p.cur()
	switch {
	case c.kind == "(":
		t.argList = p.callArgs()
	case c.name("else") || c.name("or") || c.name("and"):
	case c.name("is"):
		p.fail("tests cannot be chained with 'is'")
	case c.kind == tokName || c.kind == tokString || c.kind == tokInt || c.kind == tokFloat || c.kind == "[" || c.kind == "{":
		t.args = []expr{p.postfix(p.primary(false))}
	}
	if negated {
		return &notExpr{t}
	}
	return t
}
