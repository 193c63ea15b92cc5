package chat

import "unicode/utf8"

// iterator returns one value after another, and false at the end.
type iterator func() (value, bool)

// generator is the result of map, select, items and the like: it runs while it is read, and can be read only once.
type generator struct{ next iterator }

// iterate is Python's iter. message, with the value's type, is raised for values that cannot be iterated.
func (r *run) iterate(v value, message string) iterator {
	switch v := v.(type) {
	case *list:
		return r.over(v.items)
	case *tuple:
		return r.over(v.items)
	case string:
		return r.characters(v)
	case markup:
		return r.characters(string(v))
	case *dict:
		return r.over(v.keys)
	case *view:
		switch v.kind {
		case "keys":
			return r.over(v.of.keys)
		case "values":
			return r.over(v.of.vals)
		}
		i := -1
		return r.counted(func() (value, bool) {
			if i++; i >= v.of.len() {
				return nil, false
			}
			return &tuple{items: []value{v.of.keys[i], v.of.vals[i]}}, true
		})
	case pyRange:
		i := int64(-1)
		return r.counted(func() (value, bool) {
			i++
			return v.at(i), i < v.n
		})
	case *generator:
		return r.counted(v.next)
	case *undefined:
		return r.over(nil)
	}
	raise(message, typeName(v))
	return nil
}

const notIterable = "'%s' object is not iterable"

func (r *run) iter(v value) iterator { return r.iterate(v, notIterable) }

// counted charges the limits for each value.
func (r *run) counted(next iterator) iterator {
	return func() (value, bool) {
		r.charge(64)
		return next()
	}
}

func (r *run) over(items []value) iterator {
	i := -1
	return r.counted(func() (value, bool) {
		if i++; i >= len(items) {
			return nil, false
		}
		return items[i], true
	})
}

func (r *run) characters(s string) iterator {
	return r.counted(func() (value, bool) {
		if s == "" {
			return nil, false
		}
		_, n := utf8.DecodeRuneInString(s)
		c := s[:n]
		s = s[n:]
		return c, true
	})
}

// collect reads an iterable to its end.
func (r *run) collect(v value) []value {
	switch v := v.(type) {
	case *list:
		r.elements(len(v.items))
		return append([]value(nil), v.items...)
	case *tuple:
		r.elements(len(v.items))
		return append([]value(nil), v.items...)
	}
	var items []value
	it := r.iter(v)
	for x, ok := it(); ok; x, ok = it() {
		r.elements(1)
		items = append(items, x)
	}
	return items
}

// lazily makes a generator whose setup runs when its first value is read.
func lazily(setup func() iterator) *generator {
	var next iterator
	return &generator{next: func() (value, bool) {
		if next == nil {
			next = setup()
		}
		v, ok := next()
		if !ok {
			next = func() (value, bool) { return nil, false }
		}
		return v, ok
	}}
}

// canIterate reports whether iterate would succeed.
func canIterate(v value) bool {
	switch v.(type) {
	case *list, *tuple, string, markup, *dict, *view, pyRange, *generator, *undefined, *loopContext:
		return true
	}
	return false
}
