package chat

import (
	"math/big"
	"strconv"
	"strings"
)

func (p *parser) tuple(cond bool, end func(token) bool, parentheses bool) expr {
	return p.tupleOf(func() expr { return p.expression(cond) }, end, parentheses)
}

// tupleOf parses expressions separated by commas: a tuple if there is a comma, otherwise the single expression.
func (p *parser) tupleOf(parse func() expr, end func(token) bool, parentheses bool) expr {
	line := p.cur().line
	var items []expr
	isTuple := false
	for {
		if len(items) > 0 {
			p.expect(",")
		}
		if t := p.cur(); t.kind == tokVarEnd || t.kind == tokTagEnd || t.kind == ")" || end != nil && end(t) {
			break
		}
		items = append(items, parse())
		if !p.is(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		if len(items) > 0 {
			return items[0]
		}
		if !parentheses {
			p.fail("got %v, want an expression", p.cur())
		}
	}
	return &tupleExpr{items: items, line: line}
}

func (p *parser) expression(cond bool) expr {
	p.deeper()
	defer func() { p.depth-- }()
	if !cond {
		return p.or()
	}
	line := p.cur().line
	e := p.or()
	for n := 0; p.skipName("if"); n++ {
		p.chain(n)
		test := p.or()
		var other expr
		if p.skipName("else") {
			other = p.expression(true)
		}
		e = &condExpr{test: test, then: e, other: other, line: line}
	}
	return e
}

// chain limits consecutive operators of one precedence, because the tree gets as deep as there are operators.
func (p *parser) chain(n int) {
	if n >= maxNesting {
		p.fail("more than %d operators in a row", maxNesting)
	}
}

func (p *parser) or() expr {
	left := p.and()
	for n := 0; p.skipName("or"); n++ {
		p.chain(n)
		left = &logicExpr{or: true, left: left, right: p.and()}
	}
	return left
}

func (p *parser) and() expr {
	left := p.not()
	for n := 0; p.skipName("and"); n++ {
		p.chain(n)
		left = &logicExpr{left: left, right: p.not()}
	}
	return left
}

func (p *parser) not() expr {
	if !p.cur().name("not") {
		return p.compare()
	}
	p.deeper()
	defer func() { p.depth-- }()
	p.next()
	return &notExpr{p.not()}
}

func (p *parser) compare() expr {
	line := p.cur().line
	c := &compareExpr{first: p.sum(), line: line}
	for {
		t := p.cur()
		op := string(t.kind)
		switch {
		case t.kind == "==" || t.kind == "!=" || t.kind == "<" || t.kind == "<=" || t.kind == ">" || t.kind == ">=":
			p.next()
		case t.name("in"):
			p.next()
			op = "in"
		case t.name("not") && p.look().name("in"):
			p.next()
			p.next()
			op = "not in"
		case len(c.ops) == 0:
			return c.first
		default:
			return c
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, p.sum())
	}
}

// binary parses left-associative operators of one precedence.
func (p *parser) binary(operand func() expr, ops ...kind) expr {
	line := p.cur().line
	left := operand()
	for n := 0; ; n++ {
		found := false
		for _, op := range ops {
			found = found || p.is(op)
		}
		if !found {
			return left
		}
		p.chain(n)
		op := p.next()
		left = &binExpr{op: string(op.kind), left: left, right: operand(), line: line}
		line = p.cur().line
	}
}

func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() expr {
	line := p.cur().line
	parts := []expr{p.product()}
	for p.skip("~") {
		parts = append(parts, p.product())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &concatExpr{parts: parts, line: line}
}

func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

func (p *parser) unary(withFilters bool) expr {
	t := p.cur()
	var e expr
	if t.kind == "-" || t.kind == "+" {
		p.deeper()
		p.next()
		e = &signExpr{op: string(t.kind), of: p.unary(false), line: t.line}
		p.depth--
	} else {
		e = p.primary(false)
	}
	e = p.postfix(e)
	if withFilters {
		e = p.filtersAndTests(e)
	}
	return e
}

func (p *parser) primary(namespaces bool) expr {
	t := p.next()
	switch t.kind {
	case tokName:
		switch t.text {
		case "true", "True", "false", "False":
			return &constExpr{t.text == "true" || t.text == "True"}
		case "none", "None":
			return &constExpr{none}
		case "self", "lipsum":
			p.failAt(t.line, "'%s' is not supported", t.text)
		}
		if namespaces && p.skip(".") {
			return &nsRef{name: t.text, attr: p.expect(tokName).text, line: t.line}
		}
		return &nameExpr{name: t.text, line: t.line}
	case tokString:
		parts := []string{t.text}
		for p.is(tokString) {
			parts = append(parts, p.next().text)
		}
		return &constExpr{strings.Join(parts, "")}
	case tokInt:
		if len(t.text) > maxDigits {
			p.failAt(t.line, "a number has more than %d digits", maxDigits)
		}
		n, ok := new(big.Int).SetString(t.text, 0)
		if strings.Trim(t.text, "0") == "" { // "00" is 0, not a number with a base prefix
			n, ok = new(big.Int), true
		}
		if !ok {
			p.failAt(t.line, "'%s' is no number", t.text)
		}
		return &constExpr{shrink(n)}
	case tokFloat:
		x, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.failAt(t.line, "the number '%s' is too large", t.text)
		}
		return &constExpr{x}
	case "(":
		e := p.tuple(true, nil, true)
		p.expect(")")
		return e
	case "[":
		l := &listExpr{}
		for !p.is("]") {
			if len(l.items) > 0 {
				p.expect(",")
				if p.is("]") {
					break
				}
			}
			l.items = append(l.items, p.expression(true))
		}
		p.next()
		return l
	case "{":
		d := &dictExpr{line: t.line}
		for !p.is("}") {
			if len(d.keys) > 0 {
				p.expect(",")
				if p.is("}") {
					break
				}
			}
			d.keys = append(d.keys, p.expression(true))
			p.expect(":")
			d.vals = append(d.vals, p.expression(true))
		}
		p.next()
		return d
	}
	p.failAt(t.line, "got %v, want an expression", t)
	return nil
}

func (p *parser) postfix(e expr) expr {
	for n := 0; ; n++ {
		p.chain(n)
		switch {
		case p.is(".") || p.is("["):
			e = p.subscript(e)
		case p.is("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) filtersAndTests(e expr) expr {
	for n := 0; ; n++ {
		p.chain(n)
		switch {
		case p.is("|"):
			e = p.filters(e, false)
		case p.cur().name("is"):
			e = p.test(e)
		case p.is("("):
			e = p.call(e)
		default:
			return e
		}
	}
}
