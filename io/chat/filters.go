package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// filter is a filter or a test: params names its parameters behind the value, of which the first least must be given.
type filter struct {
	params []string
	least  int
	fn     func(r *run, v value, p []value) value  // missing parameters are nil
	any    func(r *run, v value, a callArgs) value // in place of fn: takes what comes
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

// filters are Jinja's, and tojson as transformers has it.
var filters map[string]*filter

// unsupportedFilters exist in Jinja, but not here: they make HTML, wrap paragraphs or are random.
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

// softStr makes a string of a value, and leaves a marked one marked.
func (r *run) softStr(v value) value {
	if _, ok := text(v); ok {
		return v
	}
	return r.str(v)
}

var htmlEscapes = strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", `"`, "&#34;")

func escapeHTML(s string) string { return htmlEscapes.Replace(s) }

func (r *run) escaped(v value) value {
	if _, ok := v.(markup); ok {
		return v
	}
	s := r.str(v)
	r.made(5 * len(s))
	return markup(escapeHTML(s))
}

func absolute(r *run, v value, p []value) value {
	n, ok := number(v)
	switch {
	case !ok:
		raise("bad operand type for abs(): '%s'", typeName(v))
	case n.isFloat:
		return math.Abs(n.f)
	}
	return shrink(new(big.Int).Abs(n.big()))
}

// titleWords is the filter title, whose words begin behind other characters than those of str.title.
func titleWords(s string) string {
	var b strings.Builder
	start := 0
	word := func(w string) {
		for _, c := range w {
			n := len(string(c))
			b.WriteString(upper(w[:n]) + lower(w[n:]))
			return
		}
	}
	inSeparator := false
	for i, c := range s {
		sep := isSpace(c) || strings.ContainsRune("-({[<", c)
		if sep != inSeparator {
			word(s[start:i])
			start, inSeparator = i, sep
		}
	}
	word(s[start:])
	return b.String()
}

// toFloat is Python's float(v), if it has one.
func (r *run) toFloat(v value) (float64, bool) {
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	if n, ok := number(v); ok {
		return n.float(), true
	}
	s, ok := text(v)
	if !ok {
		return 0, false
	}
	return parseFloat(s)
}

func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsAny(s, "xXpP") || !underscoresFit(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// underscoresFit says whether every "_" stands between two digits.
func underscoresFit(s string) bool {
	digit := func(i int) bool {
		return i >= 0 && i < len(s) && (decimal(s[i]) || strings.IndexByte("abcdefABCDEF", s[i]) >= 0)
	}
	for i := range s {
		if s[i] == '_' && !(digit(i-1) && digit(i+1)) {
			return false
		}
	}
	return true
}

// parseInt is Python's int(s, base).
func parseInt(s string, base int) (value, bool) {
	s = strings.TrimFunc(s, isSpace)
	body := strings.TrimLeft(s, "+-")
	if len(s)-len(body) > 1 || body == "" || len(body) > maxDigits || base != 0 && (base < 2 || base > 36) {
		return nil, false
	}
	if prefix := map[int]string{2: "0b", 8: "0o", 16: "0x"}[base]; prefix != "" && len(body) > 2 && strings.EqualFold(body[:2], prefix) {
		body = strings.TrimPrefix(body[2:], "_")
	}
	if base != 0 {
		for i := range body {
			if body[i] == '_' && (i == 0 || i == len(body)-1 || body[i-1] == '_') {
				return nil, false
			}
		}
		body = strings.ReplaceAll(body, "_", "")
	}
	if strings.ContainsAny(body, "+-") {
		return nil, false
	}
	n, ok := new(big.Int).SetString(body, base)
	if !ok {
		return nil, false
	}
	if s[0] == '-' {
		n.Neg(n)
	}
	return shrink(n), true
}

func toInt(r *run, v value, p []value) value {
	missing := value(int64(0))
	if p[0] != nil {
		missing = p[0]
	}
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	s, isText := text(v)
	if isText {
		if n, ok := parseInt(s, intOr(p[1], 10, "a base")); ok {
			return n
		}
	}
	if n, ok := number(v); ok && !n.isFloat {
		return shrink(n.big())
	}
	f, ok := r.toFloat(v)
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		if !isText && math.IsInf(f, 0) {
			raise("cannot convert float infinity to integer")
		}
		return missing
	}
	return truncate(f)
}

func indent(r *run, v value, p []value) value {
	s, ok := text(v)
	if u, isUndefined := v.(*undefined); isUndefined {
		u.fail()
	}
	if !ok {
		raise("unsupported operand type(s) for +=: '%s' and 'str'", typeName(v))
	}
	by := "    "
	if p[0] != nil {
		if by, ok = text(p[0]); !ok {
			n := max(0, toIndex(p[0], "a width"))
			r.made(n)
			by = strings.Repeat(" ", n)
		}
	}
	blank := p[2] != nil && truth(p[2])
	lines := splitLines(s+"\n", false)
	r.elements(len(lines))
	var b strings.Builder
	if p[1] != nil && truth(p[1]) {
		r.write(&b, by)
	}
	for i, line := range lines {
		if i > 0 {
			r.write(&b, "\n")
			if line != "" || blank {
				r.write(&b, by)
			}
		}
		r.write(&b, line)
	}
	return like(v, b.String())
}

func round(r *run, v value, p []value) value {
	method := "common"
	if p[1] != nil {
		method, _ = text(p[1])
	}
	precision := intOr(p[0], 0, "a precision")
	n, ok := number(v)
	if method != "common" && method != "ceil" && method != "floor" {
		raise("method must be common, ceil or floor")
	}
	if !ok {
		raise("type %s doesn't define __round__ method", typeName(v))
	}
	if precision > 400 || precision < -400 {
		raise("a precision of %d is not supported", precision)
	}
	if method == "common" {
		if !n.isFloat {
			return roundInt(n.big(), precision)
		}
		return roundFloat(n.f, precision)
	}
	// Jinja computes func(value * 10**precision) / 10**precision.
	scale := r.arith("**", num{i: 10}, num{i: int64(precision)})
	by, _ := number(scale)
	scaled, _ := number(r.arith("*", n, by))
	if scaled.isFloat {
		f := math.Floor(scaled.f)
		if method == "ceil" {
			f = math.Ceil(scaled.f)
		}
		scaled, _ = number(truncate(f))
	}
	return r.arith("/", scaled, by)
}

func roundFloat(f float64, precision int) value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	if precision >= 0 {
		x, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
		return x
	}
	n, _ := big.NewFloat(f).Int(nil)
	if f != math.Trunc(f) { // a fraction only matters at a tie, which it breaks upwards
		n.Mul(n, big.NewInt(10))
		if f > 0 {
			n.Add(n, big.NewInt(1))
		} else {
			n.Sub(n, big.NewInt(1))
		}
		v, _ := number(roundInt(n, precision-1))
		return math.Copysign(v.float()/10, f)
	}
	v, _ := number(roundInt(n, precision))
	return math.Copysign(v.float(), f)
}

// roundInt rounds to 10**-precision, ties to even.
func roundInt(n *big.Int, precision int) value {
	if precision >= 0 {
		return shrink(n)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-precision)), nil)
	q, m := new(big.Int).DivMod(n, unit, new(big.Int))
	switch c := m.Lsh(m, 1).Cmp(unit); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	return shrink(q.Mul(q, unit))
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

func truncateText(r *run, v value, p []value) value {
	s, ok := text(v)
	length, leeway := intOr(p[0], 255, "a length"), 5
	if p[3] != nil && p[3] != none {
		leeway = toIndex(p[3], "a leeway")
	}
	end := "..."
	if p[2] != nil {
		var isText bool
		if end, isText = text(p[2]); !isText {
			raise("the end of truncate must be a str")
		}
	}
	if length < runeCount(end) || leeway < 0 {
		raise("expected length >= %d and leeway >= 0, got %d and %d", runeCount(end), length, leeway)
	}
	if r.length(v) <= length+leeway {
		return v
	}
	if !ok {
		raise("truncate wants a str, not '%s'", typeName(v))
	}
	head := cut(s, 0, length-runeCount(end))
	if p[1] == nil || !truth(p[1]) {
		if i := strings.LastIndexByte(head, ' '); i >= 0 {
			head = head[:i]
		}
	}
	r.made(len(head) + len(end))
	return like(v, head+end)
}

// quoteURL percent-encodes what a URL may not hold; in a query the "/" too, and a space is "+".
func (r *run) quoteURL(v value, query bool) string {
	s := r.str(v)
	r.made(3 * len(s))
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < 0x80 && (isAlphanumeric(rune(c)) || strings.IndexByte("_.-~", c) >= 0) || c == '/' && !query:
			b.WriteByte(c)
		case c == ' ' && query:
			b.WriteByte('+')
		default:
			b.WriteByte('%')
			b.WriteByte(strings.ToUpper(hexDigits)[c>>4])
			b.WriteByte(strings.ToUpper(hexDigits)[c&15])
		}
	}
	return b.String()
}

func (r *run) urlEncode(v value) value {
	if _, ok := text(v); ok || !canIterate(v) {
		return r.quoteURL(v, false)
	}
	if d, ok := v.(*dict); ok {
		v = &view{of: d, kind: "items"}
	}
	var parts []string
	for _, item := range r.collect(v) {
		pair := r.collect(item)
		if len(pair) != 2 {
			raise("urlencode wants pairs")
		}
		parts = append(parts, r.quoteURL(pair[0], true)+"="+r.quoteURL(pair[1], true))
	}
	return strings.Join(parts, "&")
}

func fileSize(f float64, binary bool) string {
	base, prefixes := 1000.0, strings.Fields("kB MB GB TB PB EB ZB YB")
	if binary {
		base, prefixes = 1024, strings.Fields("KiB MiB GiB TiB PiB EiB ZiB YiB")
	}
	switch {
	case f == 1:
		return "1 Byte"
	case f < base:
		return strconv.FormatFloat(math.Trunc(f), 'f', 0, 64) + " Bytes"
	}
	unit, i := base*base, 0
	for ; f >= unit && i < len(prefixes)-1; i++ {
		unit *= base
	}
	return strconv.FormatFloat(base*f/unit, 'f', 1, 64) + " " + prefixes[i]
}
