package chat

import "strings"

// softStr converts a value to a string and keeps the mark of a marked one.
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

// titleWords is the filter title, in which words begin after other characters than in str.title.
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

// quoteURL percent-encodes what a URL may not contain; in a query also "/", and a space becomes "+".
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
