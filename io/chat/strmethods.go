package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// strMethods are the methods of Python's str.
var strMethods map[string]strMethod

func init() {
	strMethods = map[string]strMethod{
		"capitalize": change(capitalize), "casefold": change(caseFold), "lower": change(lower), "upper": change(upper),
		"title": change(title), "swapcase": change(swapCase),
		"strip": stripper(true, true), "lstrip": stripper(true, false), "rstrip": stripper(false, true),
		"isalnum":      test(func(s string) bool { return every(s, isAlphanumeric) }),
		"isalpha":      test(func(s string) bool { return every(s, unicode.IsLetter) }),
		"isascii":      test(ascii),
		"isdigit":      test(func(s string) bool { return every(s, unicode.IsDigit) }),
		"islower":      test(isLower),
		"isupper":      test(isUpper),
		"istitle":      test(isTitle),
		"isspace":      test(func(s string) bool { return every(s, isSpace) }),
		"split":        split,
		"rsplit":       split2,
		"replace":      replace,
		"join":         join,
		"format":       func(r *run, s string, a callArgs) value { return r.formatBraces(s, a) },
		"center":       pad(-1),
		"ljust":        pad(0),
		"rjust":        pad(1),
		"find":         finder(false, false),
		"rfind":        finder(true, false),
		"index":        finder(false, true),
		"rindex":       finder(true, true),
		"zfill":        zfill,
		"encode":       nil,
		"removeprefix": func(r *run, s string, a callArgs) value { return strings.TrimPrefix(s, str1("removeprefix", a)) },
		"removesuffix": func(r *run, s string, a callArgs) value { return strings.TrimSuffix(s, str1("removesuffix", a)) },
		"isdecimal":    test(func(s string) bool { return every(s, unicode.IsDigit) }),
		"isnumeric":    test(func(s string) bool { return every(s, unicode.IsNumber) }),
		"isprintable":  test(func(s string) bool { return s == "" || every(s, isPrintable) }),
		"isidentifier": test(func(s string) bool { return every(s, isWord) && !decimal(s[0]) }),
		"startswith":   affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
		"count": func(r *run, s string, a callArgs) value {
			sub, start, stop, ok := window("count", s, a)
			if !ok {
				return int64(0)
			}
			return int64(strings.Count(cut(s, start, stop), sub))
		},
		"splitlines": func(r *run, s string, a callArgs) value {
			p := a.bind("splitlines", "keepends")
			return r.strings(splitLines(s, p[0] != nil && truth(p[0])))
		},
		"partition": func(r *run, s string, a callArgs) value {
			sep := separator("partition", a)
			r.made(len(s))
			if before, after, ok := strings.Cut(s, sep); ok {
				return &tuple{items: []value{before, sep, after}}
			}
			return &tuple{items: []value{s, "", ""}}
		},
		"rpartition": func(r *run, s string, a callArgs) value {
			sep := separator("rpartition", a)
			r.made(len(s))
			if i := strings.LastIndex(s, sep); i >= 0 {
				return &tuple{items: []value{s[:i], sep, s[i+len(sep):]}}
			}
			return &tuple{items: []value{"", "", s}}
		},
		"expandtabs": func(r *run, s string, a callArgs) value {
			size := 8
			if p := a.bind("expandtabs", "tabsize"); p[0] != nil {
				size = toIndex(p[0], "tabsize")
			}
			return r.expandTabs(s, size)
		},
	}
	for _, name := range []string{"encode", "format_map", "maketrans", "translate"} {
		strMethods[name] = func(*run, string, callArgs) value {
			raise("the method %s of str is not supported", name)
			return nil
		}
	}
}

func caseFold(s string) string { return lower(strings.ReplaceAll(s, "ß", "ss")) }

func change(f func(string) string) strMethod {
	return func(r *run, s string, a callArgs) value {
		a.bind("the method")
		r.made(3 * len(s)) // a character can become three
		return f(s)
	}
}

func test(f func(string) bool) strMethod {
	return func(r *run, s string, a callArgs) value {
		a.bind("the method")
		return f(s)
	}
}

// positional refuses keyword arguments, as methods implemented in C do.
func (a callArgs) positional(name string, least, most int) {
	if len(a.kw) > 0 {
		raise("str.%s() takes no keyword arguments", name)
	}
	if len(a.pos) < least || len(a.pos) > most {
		raise("%s expected %d to %d arguments, got %d", name, least, most, len(a.pos))
	}
}

func str1(name string, a callArgs) string {
	s, ok := text(a.only(name))
	if !ok {
		raise("%s wants a str, not '%s'", name, typeName(a.pos[0]))
	}
	return s
}

func separator(name string, a callArgs) string {
	sep := str1(name, a)
	if sep == "" {
		raise("empty separator")
	}
	return sep
}

func stripper(left, right bool) strMethod {
	return func(r *run, s string, a callArgs) value {
		a.positional("strip", 0, 1)
		var chars value
		if len(a.pos) > 0 {
			chars = a.pos[0]
			if t, ok := text(chars); ok {
				r.charge(len(s) * (len(t)/64 + 1))
			}
		}
		in := stripSet(chars)
		if left {
			s = strings.TrimLeftFunc(s, in)
		}
		if right {
			s = strings.TrimRightFunc(s, in)
		}
		return s
	}
}

// strings makes a list of strings.
func (r *run) strings(parts []string) value {
	r.elements(2 * len(parts))
	l := &list{items: make([]value, len(parts))}
	for i, p := range parts {
		l.items[i] = p
	}
	return l
}

func split(r *run, s string, a callArgs) value { return r.split(s, a, false) }

func split2(r *run, s string, a callArgs) value { return r.split(s, a, true) }

func (r *run) split(s string, a callArgs, right bool) value {
	p := a.bind("split", "sep", "maxsplit")
	limit := -1
	if p[1] != nil {
		limit = toIndex(p[1], "maxsplit")
	}
	if p[0] == nil || p[0] == none {
		if right {
			return r.strings(rsplitSpace(s, limit))
		}
		return r.strings(splitSpace(s, limit))
	}
	sep, ok := text(p[0])
	if !ok {
		raise("must be str or None, not %s", typeName(p[0]))
	}
	if sep == "" {
		raise("empty separator")
	}
	if right {
		return r.strings(rsplit(s, sep, limit))
	}
	if limit >= 0 {
		limit++
	}
	return r.strings(strings.SplitN(s, sep, limit))
}

func replace(r *run, s string, a callArgs) value {
	a.positional("replace", 2, 3)
	count := -1
	if len(a.pos) == 3 {
		count = toIndex(a.pos[2], "count")
	}
	from, ok := text(a.pos[0])
	to, ok2 := text(a.pos[1])
	if !ok || !ok2 {
		raise("replace() arguments must be str")
	}
	return r.replace(s, from, to, count)
}

func (r *run) replace(s, from, to string, count int) value {
	n := strings.Count(s, from)
	if count >= 0 {
		n = min(n, count)
	}
	if len(to) > 0 && n > maxString/len(to) {
		raise("a string would take more than %d bytes", maxString)
	}
	r.made(len(s) + n*len(to))
	return strings.Replace(s, from, to, count)
}

func join(r *run, s string, a callArgs) value {
	it := r.iterate(a.only("join"), "can only join an iterable")
	var b strings.Builder
	i := 0
	for v, ok := it(); ok; v, ok = it() {
		t, ok := text(v)
		if !ok {
			raise("sequence item %d: expected str instance, %s found", i, typeName(v))
		}
		if i > 0 {
			r.write(&b, s)
		}
		r.write(&b, t)
		i++
	}
	return b.String()
}

// pad is center (-1), ljust (0) or rjust (1).
func pad(side int) strMethod {
	return func(r *run, s string, a callArgs) value {
		a.positional("justify", 1, 2)
		fill := " "
		if len(a.pos) == 2 {
			f, ok := text(a.pos[1])
			if !ok || runeCount(f) != 1 {
				raise("the fill character must be exactly one character long")
			}
			fill = f
		}
		return r.justify(s, toIndex(a.pos[0], "a width"), fill, side)
	}
}

func (r *run) justify(s string, width int, fill string, side int) string {
	n := width - runeCount(s)
	if n <= 0 {
		return s
	}
	r.made(len(s) + min(n, maxString)*len(fill))
	left := 0
	switch {
	case side > 0:
		left = n
	case side < 0:
		left = n/2 + n&width&1
	}
	return strings.Repeat(fill, left) + s + strings.Repeat(fill, n-left)
}

func zfill(r *run, s string, a callArgs) value {
	width := toIndex(a.only("zfill"), "a width")
	sign := ""
	if s != "" && (s[0] == '+' || s[0] == '-') {
		sign, s = s[:1], s[1:]
	}
	return sign + r.justify(s, width-len(sign), "0", 1)
}

// window reads the arguments (sub, start, end) of find and similar methods. ok is false if the window is outside of s.
func window(name, s string, a callArgs) (sub string, start, stop int, ok bool) {
	a.positional(name, 1, 3)
	sub, isText := text(a.pos[0])
	if !isText {
		raise("must be str, not %s", typeName(a.pos[0]))
	}
	start, stop, ok = bounds(s, a)
	return sub, start, stop, ok
}

func bounds(s string, a callArgs) (start, stop int, ok bool) {
	n := runeCount(s)
	stop = n
	for i, p := range []*int{&start, &stop} {
		if len(a.pos) > i+1 && a.pos[i+1] != none {
			j := toIndex(a.pos[i+1], "slice indices")
			if j < 0 {
				j = max(0, j+n)
			}
			*p = j
		}
	}
	return start, min(stop, n), start <= min(stop, n)
}

func finder(right, must bool) strMethod {
	return func(r *run, s string, a callArgs) value {
		sub, start, stop, ok := window("find", s, a)
		i := -1
		if ok {
			part := cut(s, start, stop)
			if i = strings.Index(part, sub); right {
				i = strings.LastIndex(part, sub)
			}
			if i >= 0 {
				i = start + runeCount(part[:i])
			}
		}
		if i < 0 && must {
			raise("substring not found")
		}
		return int64(i)
	}
}

// affix is startswith or endswith, with a string or a tuple of strings.
func affix(has func(s, affix string) bool) strMethod {
	return func(r *run, s string, a callArgs) value {
		a.positional("startswith", 1, 3)
		start, stop, ok := bounds(s, a)
		options := []value{a.pos[0]}
		if t, ok := a.pos[0].(*tuple); ok {
			options = t.items
		}
		for _, o := range options {
			want, isText := text(o)
			if !isText {
				raise("first arg must be str or a tuple of str, not %s", typeName(o))
			}
			if ok && has(cut(s, start, stop), want) {
				return true
			}
		}
		return false
	}
}

func (r *run) expandTabs(s string, size int) value {
	var b strings.Builder
	column := 0
	for len(s) > 0 {
		c, n := utf8.DecodeRuneInString(s)
		switch {
		case c == '\t':
			if size > 0 {
				fill := size - column%size
				r.made(fill)
				r.write(&b, strings.Repeat(" ", fill))
				column += fill
			}
		default:
			r.write(&b, s[:n])
			if column++; c == '\n' || c == '\r' {
				column = 0
			}
		}
		s = s[n:]
	}
	return b.String()
}
