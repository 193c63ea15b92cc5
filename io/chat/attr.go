package chat

import "strings"

// attribute is Python's getattr, or nil if the value has no attribute of that name.
func (r *run) attribute(v value, name string) value {
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") && len(name) > 4 {
		return unsafe(v, name)
	}
	switch v := v.(type) {
	case string, markup:
		if m := strMethods[name]; m != nil {
			return bound(name, v, m)
		}
	case *dict:
		if mutatesDict[name] {
			return unsafe(v, name)
		}
		if m := dictMethods[name]; m != nil {
			return &function{name: name, method: true, call: func(r *run, a callArgs) value { return m(r, v, a) }}
		}
	case *list:
		if mutatesList[name] {
			return unsafe(v, name)
		}
		if m := seqMethods[name]; m != nil {
			return &function{name: name, method: true, call: func(r *run, a callArgs) value { return m(r, v, v.items, a) }}
		}
		if name == "copy" {
			return &function{name: name, method: true, call: func(r *run, a callArgs) value {
				a.bind(name)
				return &list{items: r.collect(v)}
			}}
		}
	case *tuple:
		for i, n := range v.names {
			if n == name {
				return v.items[i]
			}
		}
		if m := seqMethods[name]; m != nil {
			return &function{name: name, method: true, call: func(r *run, a callArgs) value { return m(r, v, v.items, a) }}
		}
	case *namespace:
		if x, ok := v.attrs.get(name); ok {
			if strings.HasPrefix(name, "_") {
				return unsafe(v, name)
			}
			return x
		}
	case *loopContext:
		return v.attr(name)
	case *cycler:
		return v.attr(name)
	case *joiner:
		switch name {
		case "sep":
			return v.sep
		case "used":
			return v.used
		}
	case *macro:
		switch name {
		case "name":
			if v.def.name == "" {
				return none
			}
			return v.def.name
		case "arguments":
			t := &tuple{}
			for _, a := range v.def.args {
				t.items = append(t.items, a.name)
			}
			return t
		}
	case pyRange:
		switch name {
		case "start":
			return v.start
		case "stop":
			return v.stop
		case "step":
			return v.step
		}
	case float64:
		if name == "is_integer" {
			return &function{name: name, method: true, call: func(r *run, a callArgs) value {
				a.bind(name)
				_, whole := num{isFloat: true, f: v}.whole()
				return whole || v >= 1<<63 || v <= -(1<<63)
			}}
		}
	}
	if n, ok := number(v); ok {
		switch name {
		case "real", "numerator":
			if _, isFloat := v.(float64); !isFloat || name == "real" {
				return r.arith("+", n, num{})
			}
		}
	}
	return nil
}

var mutatesList = set("append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove")
var mutatesDict = set("clear", "pop", "popitem", "setdefault", "update")

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

// unsafe is what the sandbox returns for a guarded attribute: using it raises an error.
func unsafe(v value, name string) value {
	return &undefined{message: "access to attribute '" + name + "' of '" + typeName(v) + "' object is unsafe."}
}

func noAttr(v value, name string) value {
	return &undefined{message: "'" + objectName(v) + "' has no attribute '" + name + "'"}
}

// getattr is v.name: an attribute or, if there is none, an item.
func (r *run) getattr(v value, name string) value {
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	if x := r.attribute(v, name); x != nil {
		return x
	}
	if d, ok := v.(*dict); ok {
		if x, ok := d.get(name); ok {
			return x
		}
	}
	return noAttr(v, name)
}

// getitem is v[key]: an item or, if there is none, an attribute.
func (r *run) getitem(v, key value) value {
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	if x := r.item(v, key); x != nil {
		return x
	}
	if name, ok := text(key); ok {
		if x := r.attribute(v, name); x != nil {
			return x
		}
		return noAttr(v, name)
	}
	return &undefined{message: objectName(v) + " has no element " + r.repr(key)}
}

// item is Python's v[key], or nil if there is none.
func (r *run) item(v, key value) value {
	if d, ok := v.(*dict); ok {
		if budget := maxItems; !hashable(key, &budget) {
			return nil
		}
		x, _ := d.get(key)
		return x
	}
	n, ok := number(key)
	if !ok || n.isFloat || n.b != nil {
		return nil
	}
	size := 0
	switch v.(type) {
	case string, markup, *list, *tuple, pyRange:
		size = r.length(v)
	default:
		return nil
	}
	i := n.i
	if i < 0 {
		i += int64(size)
	}
	if i < 0 || i >= int64(size) {
		return nil
	}
	switch v := v.(type) {
	case *list:
		return v.items[i]
	case *tuple:
		return v.items[i]
	case pyRange:
		return v.at(i)
	}
	s, _ := text(v)
	return like(v, cut(s, int(i), int(i)+1))
}

func hashable(v value, budget *int) bool {
	if *budget--; *budget < 0 {
		raise("a tuple is too large for a key")
	}
	switch v := v.(type) {
	case *list, *dict:
		return false
	case *view:
		return v.kind == "values"
	case *tuple:
		for _, item := range v.items {
			if !hashable(item, budget) {
				return false
			}
		}
	}
	return true
}

// The methods of dicts, lists and tuples.

var dictMethods = map[string]func(r *run, d *dict, a callArgs) value{
	"get": func(r *run, d *dict, a callArgs) value {
		if len(a.kw) > 0 || len(a.pos) < 1 || len(a.pos) > 2 {
			raise("get wants a key and, if at all, a default")
		}
		if v, ok := d.get(a.pos[0]); ok {
			return v
		}
		if len(a.pos) == 2 {
			return a.pos[1]
		}
		return none
	},
	"keys":   viewMethod("keys"),
	"values": viewMethod("values"),
	"items":  viewMethod("items"),
	"copy": func(r *run, d *dict, a callArgs) value {
		a.bind("copy")
		return r.copyDict(d)
	},
}

func viewMethod(kind string) func(r *run, d *dict, a callArgs) value {
	return func(r *run, d *dict, a callArgs) value {
		a.bind(kind)
		return &view{of: d, kind: kind}
	}
}

func (r *run) copyDict(d *dict) *dict {
	r.elements(2 * d.len())
	c := &dict{}
	for i, k := range d.keys {
		c.set(k, d.vals[i])
	}
	return c
}

var seqMethods = map[string]func(r *run, v value, items []value, a callArgs) value{
	"count": func(r *run, v value, items []value, a callArgs) value {
		want := a.only("count")
		n := int64(0)
		for _, item := range items {
			if r.same(item, want) || r.eq(item, want) {
				n++
			}
		}
		return n
	},
	"index": func(r *run, v value, items []value, a callArgs) value {
		if len(a.kw) > 0 || len(a.pos) < 1 || len(a.pos) > 3 {
			raise("index wants a value and, if at all, where to begin and end")
		}
		start, stop := 0, len(items)
		for i, p := range []*int{&start, &stop} {
			if len(a.pos) > i+1 {
				n := toIndex(a.pos[i+1], "an index")
				if n < 0 {
					n = max(0, n+len(items))
				}
				*p = min(n, len(items))
			}
		}
		for i := start; i < stop; i++ {
			if r.same(items[i], a.pos[0]) || r.eq(items[i], a.pos[0]) {
				return int64(i)
			}
		}
		raise("%s is not in %s", r.repr(a.pos[0]), typeName(v))
		return nil
	},
}

// only returns the single argument of a call.
func (a callArgs) only(name string) value {
	if len(a.kw) > 0 || len(a.pos) != 1 {
		raise("%s takes exactly one argument (%d given)", name, len(a.pos)+len(a.kw))
	}
	return a.pos[0]
}

type strMethod func(r *run, s string, a callArgs) value

// bound is a method of a string. If the string is marked as safe, so is the result.
func bound(name string, v value, m strMethod) value {
	s, _ := text(v)
	_, marked := v.(markup)
	return &function{name: name, method: true, call: func(r *run, a callArgs) value {
		r.charge(len(s))
		if !marked {
			return m(r, s, a)
		}
		if name == "replace" || name == "join" || name == "format" {
			a = r.escapeArgs(a, name)
		}
		return mark(m(r, s, a))
	}}
}

func mark(v value) value {
	switch v := v.(type) {
	case string:
		return markup(v)
	case *list:
		for i, item := range v.items {
			v.items[i] = mark(item)
		}
	case *tuple:
		for i, item := range v.items {
			v.items[i] = mark(item)
		}
	}
	return v
}

// escapeArgs escapes string arguments of methods of a marked string.
func (r *run) escapeArgs(a callArgs, name string) callArgs {
	out := callArgs{kw: append([]named(nil), a.kw...)}
	for i, v := range a.pos {
		switch {
		case name == "join":
			items := r.collect(v)
			for j, item := range items {
				items[j] = r.escaped(item)
			}
			v = &list{items: items}
		case name == "replace" && i == 1 || name == "format":
			if _, ok := text(v); ok {
				v = r.escaped(v)
			}
		}
		out.pos = append(out.pos, v)
	}
	for i, k := range out.kw {
		if _, ok := text(k.val); ok {
			out.kw[i].val = r.escaped(k.val)
		}
	}
	return out
}
