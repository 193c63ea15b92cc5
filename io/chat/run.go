package chat

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// run is a rendering in progress.
type run struct {
	vars   map[string]value
	now    time.Time
	out    *strings.Builder
	line   int
	steps  int
	total  int
	depth  int
	within int // open captures: macros, set and filter blocks
	spans  []Span
	lost   bool // a {% generation %} was inside a capture, so its position is unknown
}

// frame holds the names of a scope that has been entered.
type frame struct {
	outer *frame
	vals  []value
}

func (f *frame) up(n int) *frame {
	for ; n > 0; n-- {
		f = f.outer
	}
	return f
}

// begin enters a scope.
func (r *run) begin(s *scope, outer *frame) *frame {
	f := &frame{outer: outer, vals: make([]value, s.size)}
	r.load(s, f)
	return f
}

// load gives the names of a scope their initial values.
func (r *run) load(s *scope, f *frame) {
	for _, l := range s.loads {
		switch l.load {
		case loadResolve:
			f.vals[l.slot] = r.vars[l.name]
			if f.vals[l.slot] == nil {
				f.vals[l.slot] = globals[l.name]
			}
		case loadAlias:
			f.vals[l.slot] = f.up(l.up).vals[l.from]
		default:
			f.vals[l.slot] = nil
		}
	}
}

// RenderError is the error that ended a rendering.
type RenderError struct {
	Line    int    // in the template
	Message string // in Jinja's words if it has a message for this
	Raised  bool   // the template itself refused the conversation, by raise_exception
}

func (e *RenderError) Error() string {
	return fmt.Sprintf("chat: template line %d: %s", e.Line, e.Message)
}

// recoverRaised, deferred, passes what was raised to f. Bugs of this package are reported in the same way: no template or
// conversation may bring the process down.
func recoverRaised(f func(raised)) {
	switch x := recover().(type) {
	case nil:
	case raised:
		f(x)
	case runtime.Error:
		f(raised{message: "internal fault: " + x.Error()})
	default:
		panic(x)
	}
}

// eval evaluates an expression.
func (r *run) eval(e expr, f *frame) value {
	if r.steps++; r.steps > maxSteps {
		r.charge(0)
	}
	r.enter()
	v := e.eval(r, f)
	r.depth--
	return v
}

// exec runs statements until one leaves a loop.
func (r *run) exec(body []stmt, f *frame) flow {
	if r.steps++; r.steps > maxSteps {
		r.charge(0)
	}
	r.enter()
	for _, s := range body {
		if flow := s.exec(r, f); flow != flowOn {
			r.depth--
			return flow
		}
	}
	r.depth--
	return flowOn
}

// print writes to the rendering, or to the capture in progress.
func (r *run) print(s string) { r.write(r.out, s) }

// capture runs f and returns what it prints.
func (r *run) capture(f func() flow) (string, flow) {
	outer := r.out
	r.out = &strings.Builder{}
	r.within++
	flow := f()
	s := r.out.String()
	r.within--
	r.out = outer
	return s, flow
}

// Statements.

func (s *outputStmt) exec(r *run, f *frame) flow {
	for _, e := range s.parts {
		if t, ok := e.(*textExpr); ok {
			r.print(t.text)
			continue
		}
		r.line = s.line
		r.print(r.str(r.eval(e, f)))
	}
	return flowOn
}

func (e *textExpr) eval(*run, *frame) value { return e.text }

func (s *ifStmt) exec(r *run, f *frame) flow {
	for i, t := range s.tests {
		r.line = s.lines[i]
		if truth(r.eval(t, f)) {
			return r.exec(s.bodies[i], f)
		}
	}
	return r.exec(s.other, f)
}

func (s *setStmt) exec(r *run, f *frame) flow {
	r.line = s.line
	r.checkNamespaces(s.target, f)
	v := r.eval(s.val, f)
	r.line = s.line
	r.assign(s.target, v, f)
	return flowOn
}

// checkNamespaces refuses ns.attr targets whose ns is not a namespace, before anything is evaluated.
func (r *run) checkNamespaces(target expr, f *frame) {
	switch t := target.(type) {
	case *nsRef:
		if _, ok := f.up(t.up).vals[t.slot].(*namespace); !ok {
			raise("cannot assign attribute on non-namespace object")
		}
	case *tupleExpr:
		for _, item := range t.items {
			r.checkNamespaces(item, f)
		}
	}
}

func (r *run) assign(target expr, v value, f *frame) {
	switch t := target.(type) {
	case *nameExpr:
		f.up(t.up).vals[t.slot] = v
	case *nsRef:
		ns, ok := f.up(t.up).vals[t.slot].(*namespace)
		if !ok {
			raise("cannot assign attribute on non-namespace object")
		}
		r.charge(64)
		ns.attrs.set(t.attr, v)
	case *tupleExpr:
		it := r.iterate(v, "cannot unpack non-iterable %s object")
		items := make([]value, 0, len(t.items))
		for x, ok := it(); ok; x, ok = it() {
			if len(items) == len(t.items) {
				raise("too many values to unpack (expected %d)", len(t.items))
			}
			items = append(items, x)
		}
		if len(items) < len(t.items) {
			raise("not enough values to unpack (expected %d, got %d)", len(t.items), len(items))
		}
		for i, item := range t.items {
			r.assign(item, items[i], f)
		}
	}
}

func (s *setBlockStmt) exec(r *run, f *frame) flow {
	inner := r.begin(s.scope, f)
	text, flow := r.capture(func() flow { return r.exec(s.body, inner) })
	if flow != flowOn {
		return flow
	}
	r.line = s.line
	var v value = text
	if s.filter != nil {
		v = r.applyFilters(s.filter, v, inner)
	}
	r.assign(s.target, v, f)
	return flowOn
}

func (s *filterStmt) exec(r *run, f *frame) flow {
	inner := r.begin(s.scope, f)
	text, flow := r.capture(func() flow { return r.exec(s.body, inner) })
	if flow != flowOn {
		return flow
	}
	r.line = s.line
	r.print(r.str(r.applyFilters(s.filter, text, inner)))
	return flowOn
}

func (s *withStmt) exec(r *run, f *frame) flow {
	inner := r.begin(s.scope, f)
	for i, t := range s.targets {
		r.line = s.line
		r.assign(t, r.eval(s.values[i], f), inner)
	}
	return r.exec(s.body, inner)
}

func (s *flowStmt) exec(*run, *frame) flow { return s.flow }

func (s *generationStmt) exec(r *run, f *frame) flow {
	start := r.out.Len()
	m := &macro{def: &s.macroDef, frame: f}
	inner := r.begin(s.scope, f)
	m.specials(r, inner, nil, callArgs{})
	r.exec(s.body, inner)
	if r.within > 0 {
		r.lost = true
	} else {
		r.spans = append(r.spans, Span{start, r.out.Len()})
	}
	return flowOn
}
