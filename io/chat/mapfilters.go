package chat

import (
	"strconv"
	"strings"
	"unicode"
)

// attributePath splits "a.b.0" into keys to look up one after another.
func attributePath(attribute value) []value {
	s, ok := text(attribute)
	if !ok {
		if attribute == nil || attribute == none {
			return nil
		}
		return []value{attribute}
	}
	var path []value
	for _, part := range strings.Split(s, ".") {
		if every(part, unicode.IsDigit) {
			if n, err := strconv.ParseInt(part, 10, 64); err == nil {
				path = append(path, n)
				continue
			}
		}
		path = append(path, part)
	}
	return path
}

// getter returns a function that gets the attribute of an element, or a default if one is given.
func (r *run) getter(attribute value, post func(value) value) func(value) value {
	return r.getterOr(attribute, nil, post)
}

func (r *run) getterOr(attribute, missing value, post func(value) value) func(value) value {
	path := attributePath(attribute)
	return func(v value) value {
		for _, key := range path {
			v = r.getitem(v, key)
			if _, ok := v.(*undefined); ok && missing != nil && missing != none {
				v = missing
			}
		}
		if post != nil {
			v = post(v)
		}
		return v
	}
}

// getters is getter for several attributes separated by commas; the result is a list.
func (r *run) getters(attribute value, post func(value) value) func(value) value {
	var each []func(value) value
	if s, ok := text(attribute); ok {
		for _, a := range strings.Split(s, ",") {
			each = append(each, r.getter(a, post))
		}
	} else {
		each = append(each, r.getter(attribute, post))
	}
	return func(v value) value {
		l := &list{}
		for _, get := range each {
			l.items = append(l.items, get(v))
		}
		return l
	}
}

// mapFilter is map(attribute=…) or map('filter', …).
func mapFilter(r *run, v value, a callArgs) value {
	return lazily(func() iterator {
		if !truth(v) {
			return r.over(nil)
		}
		var apply func(value) value
		if attribute := a.keyword("attribute"); len(a.pos) == 0 && attribute != nil {
			for _, k := range a.kw {
				if k.name != "attribute" && k.name != "default" {
					raise("Unexpected keyword argument '%s'", k.name)
				}
			}
			apply = r.getterOr(attribute, a.keyword("default"), nil)
		} else {
			if len(a.pos) == 0 {
				raise("map requires a filter argument")
			}
			name, f := lookup(filters, a.pos[0], "filter")
			rest := callArgs{pos: a.pos[1:], kw: a.kw}
			apply = func(x value) value { return f.apply(r, name, x, rest) }
		}
		it := r.iter(v)
		return func() (value, bool) {
			x, ok := it()
			if !ok {
				return nil, false
			}
			return apply(x), true
		}
	})
}

func (a callArgs) keyword(name string) value {
	for _, k := range a.kw {
		if k.name == name {
			return k.val
		}
	}
	return nil
}

// lookup finds the filter or test that a template names by a value.
func lookup(table map[string]*filter, v value, what string) (string, *filter) {
	if u, ok := v.(*undefined); ok {
		raise("No %s named Undefined. (%s; did you forget to quote the callable name?)", what, u.message)
	}
	name, _ := text(v)
	f := table[name]
	if f == nil {
		raise("No %s named %s.", what, quote(name))
	}
	return name, f
}

// selecting is select, reject and, for an attribute, selectattr and rejectattr.
func selecting(byAttribute, want bool) func(r *run, v value, a callArgs) value {
	return func(r *run, v value, a callArgs) value {
		return lazily(func() iterator {
			if !truth(v) {
				return r.over(nil)
			}
			get := func(v value) value { return v }
			args := a.pos
			if byAttribute {
				if len(args) == 0 {
					raise("Missing parameter for attribute name")
				}
				get, args = r.getter(args[0], nil), args[1:]
			}
			holds := truth
			if len(args) > 0 {
				name, f := lookup(tests, args[0], "test")
				rest := callArgs{pos: args[1:], kw: a.kw}
				holds = func(v value) bool { return truth(f.apply(r, name, v, rest)) }
			}
			it := r.iter(v)
			return func() (value, bool) {
				for x, ok := it(); ok; x, ok = it() {
					if holds(get(x)) == want {
						return x, true
					}
				}
				return nil, false
			}
		})
	}
}
