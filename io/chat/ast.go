package chat

// node is a part of a template: an expr or a stmt.
type node interface{}

// expr is an expression.
type expr interface {
	eval(r *run, f *frame) value
}

// stmt is a statement. exec says whether to leave or continue a loop.
type stmt interface {
	exec(r *run, f *frame) flow
}

type flow byte

const (
	flowOn flow = iota
	flowBreak
	flowContinue
)

// How a name is used: read, written, or written as a parameter of a loop, macro or {% with %}.
type use byte

const (
	useLoad use = iota
	useStore
	useParam
)

// nameExpr is a name. Once scopes are resolved, its value is `up` frames out, in slot `slot`.
type nameExpr struct {
	name     string
	use      use
	line     int
	up, slot int
}

// nsRef is a target ns.attr of {% set %}.
type nsRef struct {
	name, attr string
	line       int
	up, slot   int
}

type constExpr struct{ v value }

type tupleExpr struct {
	items []expr
	line  int
}

type listExpr struct{ items []expr }

type dictExpr struct {
	keys, vals []expr
	line       int
}

type binExpr struct {
	op          string
	left, right expr
	line        int
}

// logicExpr is "and" or "or".
type logicExpr struct {
	or          bool
	left, right expr
}

type notExpr struct{ of expr }

type signExpr struct {
	op   string
	of   expr
	line int
}

type concatExpr struct {
	parts []expr
	line  int
}

type compareExpr struct {
	first expr
	ops   []string
	rest  []expr
	line  int
}

type condExpr struct {
	test, then, other expr // other may be nil
	line              int
}

type attrExpr struct {
	of   expr
	name string
	line int
}

type itemExpr struct {
	of, key expr
	line    int
}

// sliceExpr is what stands in x[a:b:c]; each part may be nil.
type sliceExpr struct{ start, stop, step expr }

type kwarg struct {
	name string
	val  expr
}

// argList is the content of a call's parentheses.
type argList struct {
	args   []expr
	kwargs []kwarg
	star   expr // *args
	stars  expr // **kwargs
}

type callExpr struct {
	of expr
	argList
	line int
}

// filterExpr applies a filter; of is nil if it filters a block.
type filterExpr struct {
	of   expr
	name string
	argList
	line int
	fn   *filter // nil: unknown, which is an error only when evaluated
}

type testExpr struct {
	of   expr
	name string
	argList
	line int
	fn   *filter
}

// Statements.

type outputStmt struct {
	parts []expr
	line  int
}

type textExpr struct{ text string }

type ifStmt struct {
	tests  []expr
	bodies [][]stmt
	other  []stmt
	lines  []int
}

type forStmt struct {
	target      expr
	iter        expr
	body, other []stmt
	test        expr
	recursive   bool
	line        int

	bodyScope, otherScope, testScope *scope
	testTarget                       expr // the target again, with its slots in testScope
	loopSlot                         int
}

// macroDef is what macros and call blocks share.
type macroDef struct {
	name     string // "" for a call block
	args     []*nameExpr
	defaults []expr // of the last parameters
	body     []stmt
	line     int

	scope                   *scope
	caller, kwargs, varargs int // their slots, or -1 if the body does not use them
}

type macroStmt struct {
	macroDef
	target *nameExpr
}

type callStmt struct {
	macroDef
	call *callExpr
}

type filterStmt struct {
	body   []stmt
	filter *filterExpr
	line   int
	scope  *scope
}

type withStmt struct {
	targets, values []expr
	body            []stmt
	line            int
	scope           *scope
}

type setStmt struct {
	target expr
	val    expr
	line   int
}

type setBlockStmt struct {
	target expr
	filter *filterExpr // may be nil
	body   []stmt
	line   int
	scope  *scope
}

// generationStmt is {% generation %}, an addition of transformers: its content is what the model wrote itself.
type generationStmt struct {
	macroDef
}

type flowStmt struct{ flow flow }

// children calls visit with the direct parts of a node, in Jinja's order.
func children(n node, visit func(node)) {
	exprs := func(list ...expr) {
		for _, e := range list {
			if e != nil {
				visit(e)
			}
		}
	}
	stmts := func(list []stmt) {
		for _, s := range list {
			visit(s)
		}
	}
	args := func(a *argList) {
		exprs(a.args...)
		for _, k := range a.kwargs {
			visit(k.val)
		}
		exprs(a.star, a.stars)
	}
	def := func(m *macroDef) {
		for _, a := range m.args {
			visit(a)
		}
		exprs(m.defaults...)
		stmts(m.body)
	}
	switch n := n.(type) {
	case *tupleExpr:
		exprs(n.items...)
	case *listExpr:
		exprs(n.items...)
	case *dictExpr:
		for i := range n.keys {
			exprs(n.keys[i], n.vals[i])
		}
	case *binExpr:
		exprs(n.left, n.right)
	case *logicExpr:
		exprs(n.left, n.right)
	case *notExpr:
		exprs(n.of)
	case *signExpr:
		exprs(n.of)
	case *concatExpr:
		exprs(n.parts...)
	case *compareExpr:
		exprs(n.first)
		exprs(n.rest...)
	case *condExpr:
		exprs(n.test, n.then, n.other)
	case *attrExpr:
		exprs(n.of)
	case *itemExpr:
		exprs(n.of, n.key)
	case *sliceExpr:
		exprs(n.start, n.stop, n.step)
	case *callExpr:
		exprs(n.of)
		args(&n.argList)
	case *filterExpr:
		exprs(n.of)
		args(&n.argList)
	case *testExpr:
		exprs(n.of)
		args(&n.argList)
	case *outputStmt:
		exprs(n.parts...)
	case *ifStmt:
		for i := range n.tests {
			exprs(n.tests[i])
			stmts(n.bodies[i])
		}
		stmts(n.other)
	case *forStmt:
		exprs(n.target, n.iter)
		stmts(n.body)
		stmts(n.other)
		exprs(n.test)
	case *macroStmt:
		def(&n.macroDef)
	case *callStmt:
		visit(n.call)
		def(&n.macroDef)
	case *generationStmt:
		def(&n.macroDef)
	case *filterStmt:
		stmts(n.body)
		visit(n.filter)
	case *withStmt:
		exprs(n.targets...)
		exprs(n.values...)
		stmts(n.body)
	case *setStmt:
		exprs(n.target, n.val)
	case *setBlockStmt:
		exprs(n.target)
		if n.filter != nil {
			visit(n.filter)
		}
		stmts(n.body)
	}
}
