package chat

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// value is a value as Python has it: noneType, bool, int64, *big.Int (only what int64 does not hold), float64, string,
// markup, *list, *tuple, *dict, *view, pyRange, *generator, *undefined, *namespace, *macro, *function, *loopContext,
// *cycler or *joiner. A nil value is no value at all: a name that nothing was assigned to.
type value = any

type noneType struct{}

var none = noneType{}

// markup is a string that escape or safe has marked; what is joined to it is escaped.
type markup string

type list struct{ items []value }

// tuple may have names for its items, which groupby gives.
type tuple struct {
	items []value
	names []string
}

// pyRange is range(start, stop, step), of n elements.
type pyRange struct{ start, stop, step, n int64 }

func (r pyRange) at(i int64) int64 { return r.start + i*r.step }

// view is d.keys(), d.values() or d.items().
type view struct {
	of   *dict
	kind string
}

// undefined is what a missing name or attribute gives: it prints as nothing, and most other uses raise its message.
type undefined struct {
	message  string
	security bool
}

func (u *undefined) fail() { raise("%s", u.message) }

type namespace struct{ attrs *dict }

// function is a callable of ours: a global function or a method bound to its value.
type function struct {
	name   string
	method bool
	call   func(r *run, a callArgs) value
}

// callArgs are the arguments of one call.
type callArgs struct {
	pos []value
	kw  []named
}

type named struct {
	name string
	val  value
}

// typeName is Python's name of a value's type.
func typeName(v value) string {
	switch v := v.(type) {
	case noneType:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *list:
		return "list"
	case *tuple:
		return "tuple"
	case *dict:
		return "dict"
	case pyRange:
		return "range"
	case *view:
		return "dict_" + v.kind
	case *generator:
		return "generator"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loopContext:
		return "LoopContext"
	case *cycler:
		return "Cycler"
	case *joiner:
		return "Joiner"
	}
	if f, ok := v.(*function); ok && f.method {
		return "builtin_function_or_method"
	}
	return "function"
}

// objectName is how Jinja speaks of a value in "… has no attribute …".
func objectName(v value) string {
	switch v.(type) {
	case noneType:
		return "None"
	case *namespace, *macro, *loopContext, *undefined, *cycler, *joiner:
		return "jinja2 " + typeName(v) + " object"
	}
	return typeName(v) + " object"
}

// text is the string within v, marked or not.
func text(v value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// like makes s what v is: marked if v is.
func like(v value, s string) value {
	if _, ok := v.(markup); ok {
		return markup(s)
	}
	return s
}

func truth(v value) bool {
	switch v := v.(type) {
	case noneType, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	case *list:
		return len(v.items) > 0
	case *tuple:
		return len(v.items) > 0
	case *dict:
		return v.len() > 0
	case *view:
		return v.of.len() > 0
	case pyRange:
		return v.n > 0
	case *loopContext:
		return v.length() > 0
	}
	return true
}

// length is Python's len.
func (r *run) length(v value) int {
	switch v := v.(type) {
	case string:
		r.charge(len(v))
		return runeCount(v)
	case markup:
		r.charge(len(v))
		return runeCount(string(v))
	case *list:
		return len(v.items)
	case *tuple:
		return len(v.items)
	case *dict:
		return v.len()
	case *view:
		return v.of.len()
	case pyRange:
		return int(v.n)
	case *undefined:
		return 0
	case *loopContext:
		return v.length()
	}
	raise("object of type '%s' has no len()", typeName(v))
	return 0
}

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

// same is Python's "is": the one object. Equal short strings and small numbers mostly are one.
func (r *run) same(a, b value) bool {
	switch a.(type) {
	case noneType, bool, *list, *tuple, *dict, *namespace, *macro, *undefined, *generator, *view, *loopContext, *cycler, *joiner, *function:
		return a == b
	case int64, string:
		return typeName(a) == typeName(b) && a == b
	}
	return false
}

// dict keeps its entries in the order in which they came, as Python does.
type dict struct {
	keys, vals []value
	index      map[any]int // made when there are many entries
}

func (d *dict) len() int { return len(d.keys) }

func (d *dict) find(k value) int {
	if s, ok := k.(string); ok && d.index == nil {
		for i, have := range d.keys {
			if h, ok := text(have); ok && h == s {
				return i
			}
		}
		return -1
	}
	h := hash(k)
	if d.index == nil {
		for i, have := range d.keys {
			if hash(have) == h {
				return i
			}
		}
		return -1
	}
	if i, ok := d.index[h]; ok {
		return i
	}
	return -1
}

func (d *dict) get(k value) (value, bool) {
	if i := d.find(k); i >= 0 {
		return d.vals[i], true
	}
	return nil, false
}

func (d *dict) set(k, v value) {
	if i := d.find(k); i >= 0 {
		d.vals[i] = v
		return
	}
	d.keys, d.vals = append(d.keys, k), append(d.vals, v)
	switch {
	case d.index != nil:
		d.index[hash(k)] = len(d.keys) - 1
	case len(d.keys) > 8:
		d.index = map[any]int{}
		for i, k := range d.keys {
			d.index[hash(k)] = i
		}
	}
}

type (
	bigKey       string
	tupleKey     string
	undefinedKey struct{}
)

// hash is a key that is equal for equal values; what Python cannot hash raises.
func hash(v value) any {
	switch v := v.(type) {
	case string, int64, noneType, pyRange:
		return v
	case markup:
		return string(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case *big.Int:
		return bigKey(fmt.Sprint(v.Sign()) + string(v.Bytes()))
	case float64:
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			b, _ := big.NewFloat(v).Int(nil)
			return hash(shrink(b))
		}
		return v
	case *undefined:
		return undefinedKey{}
	case *tuple:
		var b strings.Builder
		for _, item := range v.items {
			h := hash(item)
			fmt.Fprintf(&b, "%T ", h)
			if t, ok := hashText(h); ok {
				fmt.Fprintf(&b, "%d %s", len(t), t)
			} else {
				fmt.Fprintf(&b, "%p", h)
			}
			if b.Len() > maxSource {
				raise("a tuple is too large for a key")
			}
		}
		return tupleKey(b.String())
	case *list, *dict:
		raise("unhashable type: '%s'", typeName(v))
	case *view:
		if v.kind != "values" {
			raise("unhashable type: '%s'", typeName(v))
		}
	}
	return v
}

func hashText(h any) (string, bool) {
	switch h := h.(type) {
	case string:
		return h, true
	case bigKey:
		return string(h), true
	case tupleKey:
		return string(h), true
	case int64, float64, noneType, undefinedKey, pyRange:
		return fmt.Sprint(h), true
	}
	return "", false
}
