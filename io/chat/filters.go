package chat

import (
	"strings"
	"unicode"
)

// filter is a filter or a test. params names its parameters after the value; the first `least` of them are required.
type filter struct {
	params []string
	least  int
	fn     func(r *run, v value, p []value) value  // missing parameters are nil
	any    func(r *run, v value, a callArgs) value // used instead of fn: takes any arguments
}

func (f *filter) apply(r *run, name string, v value, a callArgs) value {
	r.enter()
	defer r.leave()
	r.charge(64)
	if f.any != nil {
		return f.any(r, v, a)
	}
	p := a.bind(name, f.params...)
	for i := 0; i < f.least; i++ {
		if p[i] == nil {
			raise("%s wants the argument '%s'", name, f.params[i])
		}
	}
	return f.fn(r, v, p)
}

// filters are Jinja's, with transformers' tojson.
var filters map[string]*filter

// unsupportedFilters exist in Jinja but not here: they produce HTML, wrap paragraphs or are random.
var unsupportedFilters = set("random", "striptags", "urlize", "wordwrap", "xmlattr")

func init() {
	filters = map[string]*filter{}
	def := func(names string, params string, least int, fn func(r *run, v value, p []value) value) {
		for _, name := range strings.Fields(names) {
			filters[name] = &filter{params: strings.Fields(params), least: least, fn: fn}
		}
	}
	defText := func(name, params string, least int, fn func(r *run, s string, p []value) value) {
		def(name, params, least, func(r *run, v value, p []value) value {
			s := r.softStr(v)
			t, _ := text(s)
			r.charge(len(t))
			out := fn(r, t, p)
			if o, ok := out.(string); ok {
				return like(s, o)
			}
			return out
		})
	}
	def("abs", "", 0, absolute)
	def("attr", "name", 1, func(r *run, v value, p []value) value {
		name, ok := text(p[0])
		if !ok {
			raise("attribute name must be string, not '%s'", typeName(p[0]))
		}
		if u, ok := v.(*undefined); ok {
			u.fail()
		}
		if x := r.attribute(v, name); x != nil {
			return x
		}
		return noAttr(v, name)
	})
	defText("capitalize", "", 0, func(r *run, s string, p []value) value { r.made(3 * len(s)); return capitalize(s) })
	defText("upper", "", 0, func(r *run, s string, p []value) value { r.made(3 * len(s)); return upper(s) })
	defText("lower", "", 0, func(r *run, s string, p []value) value { r.made(3 * len(s)); return lower(s) })
	defText("title", "", 0, func(r *run, s string, p []value) value { r.made(3 * len(s)); return titleWords(s) })
	defText("trim", "chars", 0, func(r *run, s string, p []value) value {
		return strMethods["strip"](r, s, callArgs{pos: given(p)})
	})
	defText("center", "width", 0, func(r *run, s string, p []value) value {
		return r.justify(s, intOr(p[0], 80, "a width"), " ", -1)
	})
	defText("wordcount", "", 0, func(r *run, s string, p []value) value {
		return int64(len(strings.FieldsFunc(s, func(c rune) bool {
			return c != '_' && !unicode.IsLetter(c) && !unicode.IsNumber(c)
		})))
	})
	def("string", "", 0, func(r *run, v value, p []value) value { return r.softStr(v) })
	def("count length", "", 0, func(r *run, v value, p []value) value { return int64(r.length(v)) })
	def("default d", "default_value boolean", 0, func(r *run, v value, p []value) value {
		_, isUndefined := v.(*undefined)
		if !isUndefined && (p[1] == nil || !truth(p[1]) || truth(v)) {
			return v
		}
		if p[0] == nil {
			return ""
		}
		return p[0]
	})
	def("e escape", "", 0, func(r *run, v value, p []value) value { return r.escaped(v) })
	def("forceescape", "", 0, func(r *run, v value, p []value) value { return r.escaped(r.str(v)) })
	def("safe", "", 0, func(r *run, v value, p []value) value { return markup(r.str(v)) })
	def("first", "", 0, func(r *run, v value, p []value) value {
		if x, ok := r.iter(v)(); ok {
			return x
		}
		return &undefined{message: "No first item, sequence was empty."}
	})
	def("last", "", 0, func(r *run, v value, p []value) value {
		items := r.reversible(v)
		if len(items) > 0 {
			return items[len(items)-1]
		}
		return &undefined{message: "No last item, sequence was empty."}
	})
	def("float", "default", 0, func(r *run, v value, p []value) value {
		if f, ok := r.toFloat(v); ok {
			return f
		}
		if p[0] == nil {
			return 0.0
		}
		return p[0]
	})
	def("int", "default base", 0, toInt)
	filters["format"] = &filter{any: func(r *run, v value, a callArgs) value {
		if len(a.pos) > 0 && len(a.kw) > 0 {
			raise("can't handle positional and keyword arguments at the same time")
		}
		s := r.softStr(v)
		t, _ := text(s)
		if len(a.kw) > 0 {
			return r.formatPercent(s, t, dictOf(r, a))
		}
		return r.formatPercent(s, t, &tuple{items: a.pos})
	}}
	def("indent", "width first blank", 0, indent)
	def("join", "d attribute", 0, func(r *run, v value, p []value) value {
		var b strings.Builder
		sep := ""
		if p[0] != nil {
			sep = r.str(p[0])
		}
		get := r.getter(p[1], nil)
		it := r.iter(v)
		n := 0
		for x, ok := it(); ok; x, ok = it() {
			if n > 0 {
				r.write(&b, sep)
			}
			r.write(&b, r.str(get(x)))
			n++
		}
		return b.String()
	})
	def("list", "", 0, func(r *run, v value, p []value) value { return &list{items: r.collect(v)} })
	def("replace", "old new count", 2, func(r *run, v value, p []value) value {
		count := -1
		if p[2] != nil && p[2] != none {
			count = toIndex(p[2], "count")
		}
		return r.replace(r.str(v), r.str(p[0]), r.str(p[1]), count)
	})
	def("reverse", "", 0, func(r *run, v value, p []value) value {
		if s, ok := text(v); ok {
			runes := []rune(s)
			r.elements(len(runes))
			reverse(runes)
			return like(v, string(runes))
		}
		items := r.collect(v)
		reverse(items)
		if _, ok := v.(*generator); ok {
			return &list{items: items}
		}
		return &generator{next: r.over(items)}
	})
	def("round", "precision method", 0, round)
	def("tojson", "ensure_ascii indent separators sort_keys", 0, toJSONFilter)
	def("truncate", "length killwords end leeway", 0, truncateText)
	def("urlencode", "", 0, func(r *run, v value, p []value) value { return r.urlEncode(v) })
	def("filesizeformat", "binary", 0, func(r *run, v value, p []value) value {
		f, ok := r.toFloat(v)
		if !ok {
			raise("could not convert to float: %s", r.repr(v))
		}
		return fileSize(f, p[0] != nil && truth(p[0]))
	})
	defSequenceFilters(def)
}

func given(p []value) []value {
	for len(p) > 0 && p[len(p)-1] == nil {
		p = p[:len(p)-1]
	}
	return p
}

func intOr(v value, missing int, what string) int {
	if v == nil {
		return missing
	}
	return toIndex(v, what)
}

func toJSONFilter(r *run, v value, p []value) value {
	style := jsonStyle{item: ", ", key: ": "}
	style.asciiOnly = p[0] != nil && truth(p[0])
	style.sortKeys = p[3] != nil && truth(p[3])
	if p[1] != nil && p[1] != none {
		style.lines, style.item = true, ","
		if s, ok := text(p[1]); ok {
			style.indent = s
		} else {
			n := max(0, toIndex(p[1], "an indent"))
			r.made(n)
			style.indent = strings.Repeat(" ", n)
		}
	}
	if p[2] != nil && p[2] != none {
		pair := r.collect(p[2])
		if len(pair) != 2 {
			raise("separators must be two strings")
		}
		item, ok := text(pair[0])
		key, ok2 := text(pair[1])
		if !ok || !ok2 {
			raise("separators must be two strings")
		}
		style.item, style.key = item, key
	}
	return r.toJSON(v, style)
}
