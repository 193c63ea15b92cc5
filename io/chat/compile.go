package chat

// compile resolves everything in a parsed template. On an error it panics with a *loadError.
func compile(body []stmt) *scope {
	c := &compiler{line: 1}
	c.measure(body)
	syms := newSymbols(nil)
	syms.visitAll(body)
	return c.within(syms, func() { c.stmts(body) })
}

// measure refuses trees too deep for recursion: chains of operators multiply with nesting.
func (c *compiler) measure(body []stmt) {
	depth := 0
	var visit func(n node)
	visit = func(n node) {
		if depth++; depth > maxDepth {
			c.fail("the template nests deeper than %d expressions and blocks", maxDepth)
		}
		children(n, visit)
		depth--
	}
	for _, n := range body {
		visit(n)
	}
}

func (c *compiler) stmts(list []stmt) {
	for _, s := range list {
		c.visit(s)
	}
}

// softly compiles what is inside an if.
func (c *compiler) softly(compile func()) {
	was := c.frame.soft
	c.frame.soft = true
	compile()
	c.frame.soft = was
}

// visit compiles one node in the current scope.
func (c *compiler) visit(n node) {
	switch n := n.(type) {
	case *nameExpr:
		c.line = n.line
		n.up, n.slot = c.lookup(n.name)
	case *nsRef:
		c.line = n.line
		n.up, n.slot = c.lookup(n.name)
	case *condExpr:
		c.softly(func() { children(n, c.visit) })
	case *ifStmt:
		c.softly(func() { children(n, c.visit) })
	case *filterExpr:
		c.line = n.line
		n.fn = filters[n.name]
		switch {
		case n.fn != nil:
		case unsupportedFilters[n.name]:
			c.fail("the filter '%s' is not supported", n.name)
		case !c.frame.soft:
			c.fail("there is no filter '%s'", n.name)
		}
		children(n, c.visit)
	case *testExpr:
		c.line = n.line
		if n.fn = tests[n.name]; n.fn == nil && !c.frame.soft {
			c.fail("there is no test '%s'", n.name)
		}
		children(n, c.visit)
	case *forStmt:
		c.forLoop(n)
	case *macroStmt:
		c.macro(&n.macroDef)
		c.visit(n.target)
	case *callStmt:
		c.macro(&n.macroDef)
		c.visit(n.call)
	case *generationStmt:
		c.macro(&n.macroDef)
	case *filterStmt:
		syms := c.inner()
		syms.visitAll(n.body)
		syms.visit(n.filter)
		n.scope = c.within(syms, func() {
			c.stmts(n.body)
			c.visit(n.filter)
		})
	case *withStmt:
		syms := c.inner()
		for _, t := range n.targets {
			syms.visit(t)
		}
		syms.visitAll(n.body)
		for _, v := range n.values {
			c.visit(v)
		}
		n.scope = c.within(syms, func() {
			for _, t := range n.targets {
				c.visit(t)
			}
			c.stmts(n.body)
		})
	case *setBlockStmt:
		syms := c.inner()
		syms.visitAll(n.body)
		n.scope = c.within(syms, func() {
			c.stmts(n.body)
			if n.filter != nil {
				c.visit(n.filter)
			}
		})
		c.visit(n.target)
	default:
		children(n, c.visit)
	}
}

func (c *compiler) forLoop(n *forStmt) {
	c.line = n.line
	c.visit(n.iter)
	c.forbidLoop(n)
	body := c.inner()
	body.param("loop")
	params(n.target, body)
	body.visitAll(n.body)
	n.bodyScope = c.within(body, func() {
		n.loopSlot = c.frame.slot("loop")
		c.visit(n.target)
		c.stmts(n.body)
	})
	if n.test != nil {
		test := c.inner()
		params(n.target, test)
		test.visit(n.test)
		n.testScope = c.within(test, func() {
			target := cloneTarget(n.target)
			c.visit(target)
			n.testTarget = target
			c.visit(n.test)
		})
	}
	if len(n.other) > 0 {
		other := c.inner()
		other.visitAll(n.other)
		n.otherScope = c.within(other, func() { c.stmts(n.other) })
	}
}

// forbidLoop refuses a loop that assigns to 'loop'.
func (c *compiler) forbidLoop(n node) {
	if name, ok := n.(*nameExpr); ok && name.use == useStore && name.name == "loop" {
		c.line = name.line
		c.fail("cannot assign to 'loop' within a for loop")
	}
	children(n, c.forbidLoop)
}

func params(target expr, s *symbols) {
	switch t := target.(type) {
	case *nameExpr:
		s.param(t.name)
	case *tupleExpr:
		for _, item := range t.items {
			params(item, s)
		}
	default:
		s.visit(t)
	}
}

// cloneTarget copies a target, because its names have other slots in the scope of a loop's test.
func cloneTarget(e expr) expr {
	switch e := e.(type) {
	case *nameExpr:
		c := *e
		return &c
	case *tupleExpr:
		c := &tupleExpr{line: e.line}
		for _, item := range e.items {
			c.items = append(c.items, cloneTarget(item))
		}
		return c
	}
	return e
}

func (c *compiler) macro(m *macroDef) {
	c.line = m.line
	syms := c.inner()
	own := map[string]bool{}
	for i, a := range m.args {
		syms.param(a.name)
		own[a.name] = true
		if a.name == "caller" && i < len(m.args)-len(m.defaults) && uses(m.body, "caller")["caller"] {
			c.fail("the argument 'caller' of a macro wants a default")
		}
	}
	for _, d := range m.defaults {
		syms.visit(d)
	}
	syms.visitAll(m.body)
	used := uses(m.body, "caller", "kwargs", "varargs")
	for _, name := range []string{"caller", "kwargs", "varargs"} {
		if used[name] && !own[name] {
			syms.param(name)
		}
	}
	m.scope = c.within(syms, func() {
		special := func(name string) int {
			if used[name] && !own[name] {
				return c.frame.slot(name)
			}
			return -1
		}
		m.caller, m.kwargs, m.varargs = special("caller"), special("kwargs"), special("varargs")
		for _, a := range m.args {
			c.visit(a)
		}
		for _, d := range m.defaults {
			c.visit(d)
		}
		c.stmts(m.body)
	})
}
