package chat

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is the kind of a token; for an operator it is the operator itself.
type kind string

const (
	tokData     kind = "text"
	tokVarBegin kind = "{{"
	tokVarEnd   kind = "}}"
	tokTagBegin kind = "{%"
	tokTagEnd   kind = "%}"
	tokName     kind = "name"
	tokString   kind = "string"
	tokInt      kind = "integer"
	tokFloat    kind = "float"
	tokEOF      kind = "end of template"
)

type token struct {
	kind kind
	text string
	line int
}

func (t token) String() string {
	if t.kind == tokName || t.kind == tokInt || t.kind == tokFloat {
		return "'" + t.text + "'"
	}
	return "'" + string(t.kind) + "'"
}

func (t token) name(s string) bool { return t.kind == tokName && t.text == s }

// loadError is an error in a template, found when it is loaded.
type loadError struct {
	line    int
	message string
}

func (e *loadError) Error() string {
	return fmt.Sprintf("chat: template line %d: %s", e.line, e.message)
}

// lexer works like Jinja's: it tries regular expressions in turn, with trim_blocks and lstrip_blocks.
type lexer struct {
	src          string
	pos, line    int
	tokens       []token
	lineStarting bool
}

func (l *lexer) fail(format string, args ...any) {
	panic(&loadError{line: l.line, message: fmt.Sprintf(format, args...)})
}

func (l *lexer) add(k kind, text string) { l.tokens = append(l.tokens, token{k, text, l.line}) }

// take advances by n bytes, counting lines, and notes whether it stops at the start of one.
func (l *lexer) take(n int) string {
	s := l.src[l.pos : l.pos+n]
	l.pos += n
	l.line += strings.Count(s, "\n")
	if n > 0 {
		l.lineStarting = s[n-1] == '\n'
	}
	return s
}

// normalizeNewlines converts all line ends to "\n".
func normalizeNewlines(s string) string {
	if !strings.Contains(s, "\r") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// lex splits a template into tokens. On an error it panics with a *loadError.
func lex(source string) []token {
	src := strings.TrimSuffix(normalizeNewlines(source), "\n")
	l := &lexer{src: src, line: 1, lineStarting: true}
	for l.pos < len(l.src) {
		l.text()
	}
	l.add(tokEOF, "")
	return l.tokens
}

// text reads the text before the next tag, and that tag.
func (l *lexer) text() {
	at := -1
	for i := l.pos; i+1 < len(l.src); i++ {
		if l.src[i] == '{' && (l.src[i+1] == '{' || l.src[i+1] == '%' || l.src[i+1] == '#') {
			at = i
			break
		}
	}
	if at < 0 {
		l.add(tokData, l.take(len(l.src)-l.pos))
		return
	}
	rawLen := matchRaw(l.src[at:])
	sign := byte(0)
	if at+2 < len(l.src) && (l.src[at+2] == '-' || l.src[at+2] == '+') {
		sign = l.src[at+2]
	}
	text := l.src[l.pos:at]
	if kept := l.stripBefore(text, sign, l.src[at+1] == '{'); kept != "" {
		l.add(tokData, kept)
	}
	l.take(len(text))
	if rawLen > 0 {
		l.take(rawLen)
		l.raw()
		return
	}
	n := 2
	if sign != 0 {
		n = 3
	}
	switch l.src[at+1] {
	case '#':
		l.take(n)
		l.comment()
	case '{':
		l.add(tokVarBegin, "")
		l.take(n)
		l.inside(tokVarEnd)
	default:
		l.add(tokTagBegin, "")
		l.take(n)
		l.inside(tokTagEnd)
	}
}

// stripBefore returns what remains of the text before a tag with the given sign.
func (l *lexer) stripBefore(text string, sign byte, variable bool) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	if sign == '+' || variable {
		return text
	}
	start := strings.LastIndexByte(text, '\n') + 1
	if (start > 0 || l.lineStarting) && strings.TrimLeftFunc(text[start:], isSpace) == "" {
		return text[:start]
	}
	return text
}

// matchRaw returns the length of {% raw %} at the start of s, or 0.
func matchRaw(s string) int {
	if !strings.HasPrefix(s, "{%") {
		return 0
	}
	i := 2
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	i = skipSpace(s, i)
	if !strings.HasPrefix(s[i:], "raw") {
		return 0
	}
	i = skipSpace(s, i+3)
	if strings.HasPrefix(s[i:], "-%}") {
		return skipSpace(s, i+3)
	}
	if strings.HasPrefix(s[i:], "%}") {
		return i + 2
	}
	return 0
}

func skipSpace(s string, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !isSpace(r) {
			break
		}
		i += n
	}
	return i
}

// closing returns the length of a closing tag ("%}" or "#}", with its sign) at i, including the following text that it
// strips.
func (l *lexer) closing(i int, end string, trim bool) int {
	s := l.src
	switch {
	case strings.HasPrefix(s[i:], "-"+end):
		return skipSpace(s, i+1+len(end)) - i
	case trim && strings.HasPrefix(s[i:], "+"+end):
		return 1 + len(end)
	case strings.HasPrefix(s[i:], end):
		n := len(end)
		if trim && i+n < len(s) && s[i+n] == '\n' {
			n++
		}
		return n
	}
	return 0
}

func (l *lexer) comment() {
	for i := l.pos; i < len(l.src); i++ {
		if n := l.closing(i, "#}", true); n > 0 {
			l.take(i - l.pos + n)
			return
		}
	}
	l.fail("missing end of comment tag")
}

func (l *lexer) raw() {
	for i := l.pos; i < len(l.src); i++ {
		if !strings.HasPrefix(l.src[i:], "{%") {
			continue
		}
		j, sign := i+2, byte(0)
		if j < len(l.src) && (l.src[j] == '-' || l.src[j] == '+') {
			sign = l.src[j]
			j++
		}
		if j = skipSpace(l.src, j); !strings.HasPrefix(l.src[j:], "endraw") {
			continue
		}
		j = skipSpace(l.src, j+len("endraw"))
		n := l.closing(j, "%}", true)
		if n == 0 {
			continue
		}
		if kept := l.stripBefore(l.src[l.pos:i], sign, false); kept != "" {
			l.add(tokData, kept)
		}
		l.take(j + n - l.pos)
		return
	}
	l.fail("missing end of raw directive")
}

var operators = []string{"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

// inside reads the tokens of a tag up to its end.
func (l *lexer) inside(end kind) {
	var open []byte
	for l.pos < len(l.src) {
		if len(open) == 0 {
			if n := l.closing(l.pos, string(end), end == tokTagEnd); n > 0 {
				l.add(end, "")
				l.take(n)
				return
			}
		}
		rest := l.src[l.pos:]
		if n := skipSpace(rest, 0); n > 0 {
			l.take(n)
			continue
		}
		if l.number(rest) || l.word(rest) || l.quoted(rest) {
			continue
		}
		op := ""
		for _, o := range operators {
			if strings.HasPrefix(rest, o) {
				op = o
				break
			}
		}
		switch op {
		case "":
			r, _ := utf8.DecodeRuneInString(rest)
			l.fail("unexpected character %q", r)
		case "{":
			open = append(open, '}')
		case "(":
			open = append(open, ')')
		case "[":
			open = append(open, ']')
		case "}", ")", "]":
			if len(open) == 0 {
				l.fail("unexpected '%s'", op)
			}
			if want := open[len(open)-1]; want != op[0] {
				l.fail("got '%s', want '%c'", op, want)
			}
			open = open[:len(open)-1]
		}
		l.add(kind(op), op)
		l.take(len(op))
	}
}

func isWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.In(r, unicode.Mn, unicode.Mc, unicode.Pc)
}

func (l *lexer) word(rest string) bool {
	n := 0
	for n < len(rest) {
		r, size := utf8.DecodeRuneInString(rest[n:])
		if !isWord(r) {
			break
		}
		n += size
	}
	if n == 0 {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(rest); r != '_' && !unicode.IsLetter(r) {
		l.fail("invalid character in identifier '%s'", rest[:n])
	}
	l.add(tokName, rest[:n])
	l.take(n)
	return true
}

func (l *lexer) quoted(rest string) bool {
	if rest[0] != '\'' && rest[0] != '"' {
		return false
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case rest[0]:
			text, err := unescape(rest[1:i])
			if err != nil {
				l.fail("%v in the string %s", err, rest[:i+1])
			}
			l.add(tokString, text)
			l.take(i + 1)
			return true
		}
	}
	return false
}

// digits returns the length of (\d+_)*\d+ at i, or 0.
func digits(s string, i int, ok func(byte) bool) int {
	j := i
	for j < len(s) && (ok(s[j]) || s[j] == '_' && j > i && s[j-1] != '_' && j+1 < len(s) && ok(s[j+1])) {
		j++
	}
	return j - i
}

func decimal(c byte) bool { return '0' <= c && c <= '9' }

func (l *lexer) number(rest string) bool {
	if !decimal(rest[0]) {
		return false
	}
	n := digits(rest, 0, decimal)
	if l.pos == 0 || l.src[l.pos-1] != '.' {
		m := n
		if m < len(rest) && rest[m] == '.' {
			if d := digits(rest, m+1, decimal); d > 0 {
				m += 1 + d
			}
		}
		if m < len(rest) && (rest[m] == 'e' || rest[m] == 'E') {
			e := m + 1
			if e < len(rest) && (rest[e] == '+' || rest[e] == '-') {
				e++
			}
			if d := digits(rest, e, decimal); d > 0 {
				m = e + d
			}
		}
		if m > n {
			l.add(tokFloat, strings.ReplaceAll(rest[:m], "_", ""))
			l.take(m)
			return true
		}
	}
	if rest[0] == '0' {
		zeros := func(c byte) bool { return c == '0' }
		n = digits(rest, 0, zeros)
		if n == 1 && len(rest) > 2 {
			set := map[byte]string{'b': "01", 'o': "01234567", 'x': "0123456789abcdefABCDEF"}[rest[1]|0x20]
			start := 2
			if rest[2] == '_' {
				start = 3
			}
			if d := digits(rest, start, func(c byte) bool { return strings.IndexByte(set, c) >= 0 }); d > 0 {
				n = start + d
			}
		}
	}
	l.add(tokInt, strings.ReplaceAll(rest[:n], "_", ""))
	l.take(n)
	return true
}
