package chat

import "strings"

func (e *nameExpr) eval(r *run, f *frame) value {
	if v := f.up(e.up).vals[e.slot]; v != nil {
		return v
	}
	return &undefined{message: "'" + e.name + "' is undefined"}
}

func (e *nsRef) eval(r *run, f *frame) value { return none } // a target is never evaluated

func (e *constExpr) eval(*run, *frame) value { return e.v }

func (r *run) evalAll(list []expr, f *frame) []value {
	if len(list) == 0 {
		return nil
	}
	r.elements(len(list))
	vals := make([]value, len(list))
	for i, e := range list {
		vals[i] = r.eval(e, f)
	}
	return vals
}

func (e *tupleExpr) eval(r *run, f *frame) value { return &tuple{items: r.evalAll(e.items, f)} }

func (e *listExpr) eval(r *run, f *frame) value { return &list{items: r.evalAll(e.items, f)} }

func (e *dictExpr) eval(r *run, f *frame) value {
	r.elements(2 * len(e.keys))
	d := &dict{}
	for i, k := range e.keys {
		key := r.eval(k, f)
		val := r.eval(e.vals[i], f)
		r.line = e.line
		d.set(key, val)
	}
	return d
}

func (e *binExpr) eval(r *run, f *frame) value {
	left := r.eval(e.left, f)
	right := r.eval(e.right, f)
	r.line = e.line
	return r.binary(e.op, left, right)
}

func (r *run) binary(op string, a, b value) value {
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return r.arith(op, x, y)
		}
	}
	if s, ok := text(a); ok && op == "%" {
		return r.formatPercent(a, s, b)
	}
	for _, v := range []value{a, b} {
		if u, ok := v.(*undefined); ok {
			u.fail()
		}
	}
	switch op {
	case "+":
		return r.add(a, b)
	case "*":
		if _, ok := number(a); ok {
			a, b = b, a
		}
		if n, ok := number(b); ok && !n.isFloat {
			if n.b != nil {
				raise("cannot fit 'int' into an index-sized integer")
			}
			if v := r.repeat(a, toIndex(b, "a factor")); v != nil {
				return v
			}
		}
	}
	raise("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
	return nil
}

func (r *run) add(a, b value) value {
	if s, ok := text(a); ok {
		t, ok := text(b)
		if !ok {
			raise("can only concatenate str (not \"%s\") to str", typeName(b))
		}
		_, marked := a.(markup)
		_, alsoMarked := b.(markup)
		if marked != alsoMarked {
			if marked {
				t = escapeHTML(t)
			} else {
				s = escapeHTML(s)
			}
		}
		r.made(len(s) + len(t))
		if marked || alsoMarked {
			return markup(s + t)
		}
		return s + t
	}
	var x, y []value
	switch a := a.(type) {
	case *list:
		if b, ok := b.(*list); ok {
			x, y = a.items, b.items
			r.elements(len(x) + len(y))
			return &list{items: append(append(make([]value, 0, len(x)+len(y)), x...), y...)}
		}
		raise("can only concatenate list (not \"%s\") to list", typeName(b))
	case *tuple:
		if b, ok := b.(*tuple); ok {
			x, y = a.items, b.items
			r.elements(len(x) + len(y))
			return &tuple{items: append(append(make([]value, 0, len(x)+len(y)), x...), y...)}
		}
		raise("can only concatenate tuple (not \"%s\") to tuple", typeName(b))
	}
	raise("unsupported operand type(s) for +: '%s' and '%s'", typeName(a), typeName(b))
	return nil
}

// repeat is v * n for strings, lists and tuples; nil for anything else.
func (r *run) repeat(v value, n int) value {
	n = max(n, 0)
	items := func(items []value) []value {
		if n > 0 && len(items) > maxItems/n {
			raise("a list would have more than %d elements", maxItems)
		}
		r.elements(len(items) * n)
		out := make([]value, 0, len(items)*n)
		for i := 0; i < n && len(items) > 0; i++ {
			out = append(out, items...)
		}
		return out
	}
	switch v := v.(type) {
	case string, markup:
		s, _ := text(v)
		if n > 0 && len(s) > maxString/n {
			raise("a string would take more than %d bytes", maxString)
		}
		if s == "" {
			return v
		}
		r.made(len(s) * n)
		return like(v, strings.Repeat(s, n))
	case *list:
		return &list{items: items(v.items)}
	case *tuple:
		return &tuple{items: items(v.items)}
	}
	return nil
}

func (e *logicExpr) eval(r *run, f *frame) value {
	left := r.eval(e.left, f)
	if truth(left) == e.or {
		return left
	}
	return r.eval(e.right, f)
}

func (e *notExpr) eval(r *run, f *frame) value { return !truth(r.eval(e.of, f)) }

func (e *signExpr) eval(r *run, f *frame) value {
	v := r.eval(e.of, f)
	r.line = e.line
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	if e.op == "-" {
		return negate(v)
	}
	if _, ok := number(v); !ok {
		raise("bad operand type for unary +: '%s'", typeName(v))
	}
	if b, ok := v.(bool); ok {
		n, _ := number(b)
		return n.i
	}
	return v
}

func (e *concatExpr) eval(r *run, f *frame) value {
	parts := make([]string, len(e.parts))
	n := 0
	for i, p := range e.parts {
		v := r.eval(p, f)
		r.line = e.line
		parts[i] = r.str(v)
		n += len(parts[i])
	}
	r.made(n)
	return strings.Join(parts, "")
}

func (e *compareExpr) eval(r *run, f *frame) value {
	left := r.eval(e.first, f)
	for i, op := range e.ops {
		right := r.eval(e.rest[i], f)
		r.line = e.line
		if !r.compareOp(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (r *run) compareOp(op string, a, b value) bool {
	switch op {
	case "==":
		return r.eq(a, b)
	case "!=":
		return !r.eq(a, b)
	case "in":
		return r.contains(b, a)
	case "not in":
		return !r.contains(b, a)
	}
	return r.compare(op, a, b)
}

func (e *condExpr) eval(r *run, f *frame) value {
	if truth(r.eval(e.test, f)) {
		return r.eval(e.then, f)
	}
	if e.other == nil {
		return &undefined{message: "the inline if-expression evaluated to false and no else section was defined."}
	}
	return r.eval(e.other, f)
}

func (e *attrExpr) eval(r *run, f *frame) value {
	v := r.eval(e.of, f)
	r.line = e.line
	return r.getattr(v, e.name)
}

func (e *itemExpr) eval(r *run, f *frame) value {
	v := r.eval(e.of, f)
	if s, ok := e.key.(*sliceExpr); ok {
		return r.slice(v, r.evalPart(s.start, f), r.evalPart(s.stop, f), r.evalPart(s.step, f), e.line)
	}
	key := r.eval(e.key, f)
	r.line = e.line
	return r.getitem(v, key)
}

func (e *sliceExpr) eval(*run, *frame) value { return none } // itemExpr evaluates its parts

func (r *run) evalPart(e expr, f *frame) value {
	if e == nil {
		return none
	}
	return r.eval(e, f)
}

// slice is v[start:stop:step].
func (r *run) slice(v, start, stop, step value, line int) value {
	r.line = line
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	s, isText := text(v)
	n := 0
	switch v.(type) {
	case string, markup, *list, *tuple, pyRange:
		n = r.length(v)
	default:
		raise("'%s' object is not subscriptable by a slice", typeName(v))
	}
	index := func(v value, what string) int {
		if u, ok := v.(*undefined); ok {
			raise("slice indices must be integers or None, not %s", typeName(u))
		}
		return toIndex(v, what)
	}
	by := 1
	if step != none {
		if by = index(step, "a slice's step"); by == 0 {
			raise("slice step cannot be zero")
		}
	}
	low, high := 0, n // bounds of start and stop
	if by < 0 {
		low, high = -1, n-1
	}
	place := func(v value, missing int) int {
		if v == none {
			return missing
		}
		i := index(v, "a slice's index")
		if i < 0 {
			i += n
		}
		return max(low, min(high, i))
	}
	from, to := place(start, low), place(stop, high)
	if by < 0 {
		from, to = place(start, high), place(stop, low)
	}
	if isText && by == 1 {
		out := cut(s, from, to)
		r.made(len(out))
		return like(v, out)
	}
	var at []int
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		at = append(at, i)
	}
	r.elements(len(at))
	if isText {
		runes := []rune(s)
		out := make([]rune, len(at))
		for i, j := range at {
			out[i] = runes[j]
		}
		return like(v, string(out))
	}
	pick := func(items []value) []value {
		out := make([]value, len(at))
		for i, j := range at {
			out[i] = items[j]
		}
		return out
	}
	switch v := v.(type) {
	case *list:
		return &list{items: pick(v.items)}
	case *tuple:
		return &tuple{items: pick(v.items)}
	}
	rg := v.(pyRange)
	return pyRange{start: rg.at(int64(from)), stop: rg.at(int64(to)), step: rg.step * int64(by), n: int64(len(at))}
}

func (e *callExpr) eval(r *run, f *frame) value { return e.invoke(r, f, nil) }

func (e *filterExpr) eval(r *run, f *frame) value {
	v := r.eval(e.of, f)
	return r.filtered(e, v, f)
}

func (e *testExpr) eval(r *run, f *frame) value {
	v := r.eval(e.of, f)
	a := r.args(&e.argList, f)
	r.line = e.line
	if e.fn == nil {
		raise("No test named '%s' found.", e.name)
	}
	return e.fn.apply(r, e.name, v, a)
}
