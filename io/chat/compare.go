package chat

import "strings"

// eq is Python's ==.
func (r *run) eq(a, b value) bool {
	r.charge(1)
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && compareNumbers(x, y) == 0
	}
	if s, ok := text(a); ok {
		t, ok := text(b)
		r.charge(min(len(s), len(t)))
		return ok && s == t
	}
	switch a := a.(type) {
	case noneType:
		return b == none
	case *undefined:
		_, ok := b.(*undefined)
		return ok
	case *list:
		b, ok := b.(*list)
		return ok && r.eqItems(a.items, b.items)
	case *tuple:
		b, ok := b.(*tuple)
		return ok && r.eqItems(a.items, b.items)
	case pyRange:
		b, ok := b.(pyRange)
		return ok && a.n == b.n && (a.n == 0 || a.start == b.start && (a.n == 1 || a.step == b.step))
	case *dict:
		b, ok := b.(*dict)
		if !ok || a.len() != b.len() {
			return false
		}
		r.enter()
		defer r.leave()
		for i, k := range a.keys {
			w, ok := b.get(k)
			if !ok || !r.eq(a.vals[i], w) {
				return false
			}
		}
		return true
	case *view:
		b, ok := b.(*view)
		if !ok || a.kind == "values" || b.kind == "values" {
			return ok && a == b
		}
		return a.kind == b.kind && a.of.len() == b.of.len() && r.isSubset(a, b)
	}
	return a == b
}

func (r *run) isSubset(a, b *view) bool {
	for i, k := range a.of.keys {
		w, ok := b.of.get(k)
		if !ok || a.kind == "items" && !r.eq(a.of.vals[i], w) {
			return false
		}
	}
	return true
}

func (r *run) eqItems(a, b []value) bool {
	if len(a) != len(b) {
		return false
	}
	r.enter()
	defer r.leave()
	for i := range a {
		if !r.eq(a[i], b[i]) {
			return false
		}
	}
	return true
}

// compare is <, <=, > or >=, for numbers, strings, lists and tuples.
func (r *run) compare(op string, a, b value) bool {
	r.charge(1)
	for _, v := range []value{a, b} {
		if u, ok := v.(*undefined); ok {
			u.fail()
		}
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			if x.isNaN() || y.isNaN() {
				return false
			}
			return ordered(op, compareNumbers(x, y))
		}
	}
	if s, ok := text(a); ok {
		if t, ok := text(b); ok {
			r.charge(min(len(s), len(t)))
			return ordered(op, strings.Compare(s, t))
		}
	}
	switch a := a.(type) {
	case *list:
		if b, ok := b.(*list); ok {
			return r.compareItems(op, a.items, b.items)
		}
	case *tuple:
		if b, ok := b.(*tuple); ok {
			return r.compareItems(op, a.items, b.items)
		}
	}
	raise("'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
	return false
}

func (r *run) compareItems(op string, a, b []value) bool {
	r.enter()
	defer r.leave()
	for i := 0; i < len(a) && i < len(b); i++ {
		if !r.eq(a[i], b[i]) {
			return r.compare(op, a[i], b[i])
		}
	}
	return ordered(op, len(a)-len(b))
}

func ordered(op string, c int) bool {
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// contains is Python's "item in box".
func (r *run) contains(box, item value) bool {
	switch b := box.(type) {
	case string, markup:
		s, _ := text(b)
		t, ok := text(item)
		if !ok {
			raise("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		r.charge(len(s))
		return strings.Contains(s, t)
	case *dict:
		_, ok := b.get(item)
		return ok
	case *view:
		if b.kind == "keys" {
			_, ok := b.of.get(item)
			return ok
		}
	case pyRange:
		if n, ok := number(item); ok {
			i, whole := n.whole()
			return whole && b.n > 0 && (i-b.start)%b.step == 0 && (i-b.start)/b.step >= 0 && (i-b.start)/b.step < b.n
		}
		return false
	}
	it := r.iterate(box, "argument of type '%s' is not iterable")
	for v, ok := it(); ok; v, ok = it() {
		if r.same(v, item) || r.eq(v, item) {
			return true
		}
	}
	return false
}

// same is Python's "is": identity. Equal short strings and small numbers usually are identical.
func (r *run) same(a, b value) bool {
	switch a.(type) {
	case noneType, bool, *list, *tuple, *dict, *namespace, *macro, *undefined, *generator, *view, *loopContext, *cycler, *joiner, *function:
		return a == b
	case int64, string:
		return typeName(a) == typeName(b) && a == b
	}
	return false
}
