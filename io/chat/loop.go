package chat

// loopContext is the variable loop. It reads ahead only if the template asks for later items.
type loopContext struct {
	r           *run
	next        iterator
	index       int // from 0; -1 before the first pass
	depth       int // of recursion, from 0
	size        int // -1: unknown
	ahead       value
	before, now value
	changedArgs *tuple
	recurse     func(v value, depth int) string
}

func (r *run) newLoop(items value, it iterator, depth int) *loopContext {
	l := &loopContext{r: r, next: it, index: -1, depth: depth, size: -1}
	switch items.(type) {
	case *generator, nil:
	default:
		l.size = r.length(items)
	}
	return l
}

// step advances to the next value.
func (l *loopContext) step() (value, bool) {
	v := l.peek()
	l.ahead = nil
	if v == nil {
		return nil, false
	}
	l.index++
	l.before, l.now = l.now, v
	return v, true
}

// peek returns the next value without advancing, or nil at the end.
func (l *loopContext) peek() value {
	if l.ahead == nil {
		if v, ok := l.next(); ok {
			l.ahead = v
		}
	}
	return l.ahead
}

// length reads the rest of a generator to count it.
func (l *loopContext) length() int {
	if l.size < 0 {
		rest := l.r.collect(&generator{next: l.next})
		l.next = l.r.over(rest)
		l.size = len(rest) + l.index + 1
		if l.ahead != nil {
			l.size++
		}
	}
	return l.size
}

func (l *loopContext) attr(name string) value {
	switch name {
	case "index":
		return int64(l.index + 1)
	case "index0":
		return int64(l.index)
	case "first":
		return l.index == 0
	case "last":
		return l.peek() == nil
	case "length":
		return int64(l.length())
	case "revindex":
		return int64(l.length() - l.index)
	case "revindex0":
		return int64(l.length() - l.index - 1)
	case "depth":
		return int64(l.depth + 1)
	case "depth0":
		return int64(l.depth)
	case "previtem":
		if l.index == 0 {
			return &undefined{message: "there is no previous item"}
		}
		return l.before
	case "nextitem":
		if v := l.peek(); v != nil {
			return v
		}
		return &undefined{message: "there is no next item"}
	case "cycle":
		return &function{name: name, method: true, call: func(r *run, a callArgs) value {
			if len(a.pos) == 0 {
				raise("no items for cycling given")
			}
			return a.pos[l.index%len(a.pos)]
		}}
	case "changed":
		return &function{name: name, method: true, call: func(r *run, a callArgs) value {
			now := &tuple{items: a.pos}
			if l.changedArgs != nil && r.eq(l.changedArgs, now) {
				return false
			}
			l.changedArgs = now
			return true
		}}
	}
	return nil
}

func (s *forStmt) exec(r *run, f *frame) flow {
	r.line = s.line
	items := r.eval(s.iter, f)
	r.line = s.line
	if !s.recursive {
		return s.loop(r, f, items, 0, nil)
	}
	// A recursive loop is a function: what each call prints is captured.
	var recurse func(v value, depth int) string
	recurse = func(v value, depth int) string {
		text, _ := r.capture(func() flow { return s.loop(r, f, v, depth, recurse) })
		return text
	}
	r.print(recurse(items, 0))
	return flowOn
}

func (s *forStmt) loop(r *run, f *frame, items value, depth int, recurse func(value, int) string) flow {
	r.enter()
	defer r.leave()
	it := r.iter(items)
	if s.test != nil {
		it, items = s.filtered(r, f, it), nil
	}
	l := r.newLoop(items, it, depth)
	l.recurse = recurse
	inner := &frame{outer: f, vals: make([]value, s.bodyScope.size)}
	empty := true
	for v, ok := l.step(); ok; v, ok = l.step() {
		inner.vals[s.loopSlot] = l
		r.assign(s.target, v, inner)
		r.load(s.bodyScope, inner)
		flow := r.exec(s.body, inner)
		r.line = s.line
		if flow == flowBreak {
			break
		}
		if flow == flowOn {
			empty = false // an iteration ended by "continue" does not count: Jinja's else asks for one that ran to its end
		}
	}
	if empty && s.otherScope != nil {
		return r.exec(s.other, r.begin(s.otherScope, f))
	}
	return flowOn
}

// filtered returns the values that pass the test of "for … if", which runs as they are read.
func (s *forStmt) filtered(r *run, f *frame, it iterator) iterator {
	var test *frame
	return func() (value, bool) {
		if test == nil {
			test = r.begin(s.testScope, f)
		}
		for v, ok := it(); ok; v, ok = it() {
			r.assign(s.testTarget, v, test)
			if truth(r.eval(s.test, test)) {
				return v, true
			}
		}
		return nil, false
	}
}

// macro is a macro, or the caller of a call block, with the frame that it was defined in.
type macro struct {
	def   *macroDef
	frame *frame
}

// call runs a macro and returns what it prints.
func (m *macro) call(r *run, a callArgs) value {
	d := m.def
	f := r.begin(d.scope, m.frame)
	for i, arg := range d.args {
		if i < len(a.pos) {
			f.vals[arg.slot] = a.pos[i]
			continue
		}
		f.vals[arg.slot] = nil
	}
	var rest []named
	for _, k := range a.kw {
		i := d.argument(k.name)
		if i < 0 || i < len(a.pos) {
			rest = append(rest, k)
			continue
		}
		f.vals[d.args[i].slot] = k.val
	}
	m.specials(r, f, rest, a)
	for i, arg := range d.args {
		if f.vals[arg.slot] != nil {
			continue
		}
		if j := i - (len(d.args) - len(d.defaults)); j >= 0 {
			f.vals[arg.slot] = r.eval(d.defaults[j], f)
		} else {
			f.vals[arg.slot] = &undefined{message: "parameter '" + arg.name + "' was not provided"}
		}
	}
	line := r.line
	text, _ := r.capture(func() flow { return r.exec(d.body, f) })
	r.line = line
	return text
}

func (d *macroDef) argument(name string) int {
	for i, a := range d.args {
		if a.name == name {
			return i
		}
	}
	return -1
}

// specials sets caller, kwargs and varargs, and refuses arguments that none of them accepts.
func (m *macro) specials(r *run, f *frame, kw []named, a callArgs) {
	d := m.def
	if d.caller >= 0 {
		f.vals[d.caller] = &undefined{message: "No caller defined"}
		for i, k := range kw {
			if k.name == "caller" {
				if k.val != none {
					f.vals[d.caller] = k.val
				}
				kw = append(append([]named(nil), kw[:i]...), kw[i+1:]...)
				break
			}
		}
	}
	if d.kwargs >= 0 {
		extra := &dict{}
		for _, k := range kw {
			extra.set(k.name, k.val)
		}
		f.vals[d.kwargs] = extra
	} else if len(kw) > 0 {
		raise("macro '%s' takes no keyword argument '%s'", d.name, kw[0].name)
	}
	if d.varargs >= 0 {
		more := &tuple{}
		if len(a.pos) > len(d.args) {
			more.items = a.pos[len(d.args):]
		}
		f.vals[d.varargs] = more
	} else if len(a.pos) > len(d.args) {
		raise("macro '%s' takes not more than %d argument(s)", d.name, len(d.args))
	}
}

func (s *macroStmt) exec(r *run, f *frame) flow {
	r.assign(s.target, &macro{def: &s.macroDef, frame: f}, f)
	return flowOn
}

func (s *callStmt) exec(r *run, f *frame) flow {
	r.line = s.line
	caller := &macro{def: &s.macroDef, frame: f}
	r.print(r.str(s.call.invoke(r, f, caller)))
	return flowOn
}

// cycler and joiner are Jinja's global helpers of these names.
type cycler struct {
	items []value
	pos   int
}

type joiner struct {
	sep  value
	used bool
}

func (j *joiner) call(*run, callArgs) value {
	if j.used {
		return j.sep
	}
	j.used = true
	return ""
}

func (c *cycler) attr(name string) value {
	switch name {
	case "current":
		return c.items[c.pos]
	case "next", "reset":
		return &function{name: name, method: true, call: func(*run, callArgs) value {
			v := c.items[c.pos]
			if c.pos = (c.pos + 1) % len(c.items); name == "reset" {
				c.pos = 0
				return none
			}
			return v
		}}
	case "items":
		return &tuple{items: c.items}
	case "pos":
		return int64(c.pos)
	}
	return nil
}
