package chat

import (
	"math/big"
	"strings"
	"unicode/utf8"
)

// str is Python's str of a value: what printing it writes.
func (r *run) str(v value) string {
	switch v := v.(type) {
	case string:
		return v
	case markup:
		return string(v)
	case *undefined:
		return ""
	}
	return r.repr(v)
}

// repr is Python's repr of a value.
func (r *run) repr(v value) string {
	var b strings.Builder
	r.writeRepr(&b, v)
	return b.String()
}

// write appends to a growing string, within the limits.
func (r *run) write(b *strings.Builder, s string) {
	if b.Len()+len(s) > maxString {
		raise("a string would take more than %d bytes", maxString)
	}
	r.made(len(s))
	b.WriteString(s)
}

func (r *run) writeRepr(b *strings.Builder, v value) {
	r.enter()
	defer r.leave()
	switch v := v.(type) {
	case noneType:
		r.write(b, "None")
	case bool:
		if v {
			r.write(b, "True")
		} else {
			r.write(b, "False")
		}
	case int64, *big.Int:
		r.write(b, intText(v))
	case float64:
		r.write(b, floatText(v))
	case string:
		r.write(b, quote(v))
	case markup:
		r.write(b, "Markup("+quote(string(v))+")")
	case *list:
		r.write(b, "[")
		r.writeItems(b, v.items)
		r.write(b, "]")
	case *tuple:
		r.write(b, "(")
		r.writeItems(b, v.items)
		if len(v.items) == 1 {
			r.write(b, ",")
		}
		r.write(b, ")")
	case *dict:
		r.write(b, "{")
		for i, k := range v.keys {
			if i > 0 {
				r.write(b, ", ")
			}
			r.writeRepr(b, k)
			r.write(b, ": ")
			r.writeRepr(b, v.vals[i])
		}
		r.write(b, "}")
	case *view:
		r.write(b, "dict_"+v.kind+"([")
		r.writeItems(b, r.collect(v))
		r.write(b, "])")
	case pyRange:
		r.write(b, v.String())
	case *undefined:
		r.write(b, "Undefined")
	case *namespace:
		r.write(b, "<Namespace ")
		r.writeRepr(b, v.attrs)
		r.write(b, ">")
	case *macro:
		if v.def.name == "" {
			r.write(b, "<Macro anonymous>")
		} else {
			r.write(b, "<Macro "+quote(v.def.name)+">")
		}
	case *loopContext:
		r.write(b, "<LoopContext "+intText(int64(v.index+1))+"/"+intText(int64(v.length()))+">")
	default:
		raise("a %s cannot be printed: its text is a place in memory", typeName(v))
	}
}

func (r *run) writeItems(b *strings.Builder, items []value) {
	for i, item := range items {
		if i > 0 {
			r.write(b, ", ")
		}
		r.writeRepr(b, item)
	}
}

func (v pyRange) String() string {
	s := "range(" + intText(v.start) + ", " + intText(v.stop)
	if v.step != 1 {
		s += ", " + intText(v.step)
	}
	return s + ")"
}

// quote is Python's repr of a string.
func quote(s string) string {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte(q)
	for i, c := range s {
		switch {
		case c == rune(q) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case isPrintable(c):
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
		default:
			b.WriteString(backslashed(c))
		}
	}
	b.WriteByte(q)
	return b.String()
}
