package tokenizer

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// A span is a part of a text, from byte start to before byte end.
type span struct {
	start, end int
	match      bool // whether the pattern matched it, or it lies between two matches
}

// A pattern cuts a text into what it matches and what lies between.
type pattern interface {
	// find appends the spans of s, which is not empty, in order; together they cover it.
	find(s string, dst []span) []span
}

// literal matches a string, which is not empty.
type literal string

func (l literal) find(s string, dst []span) []span {
	for done := 0; ; {
		i := strings.Index(s[done:], string(l))
		if i < 0 {
			return between(dst, done, len(s))
		}
		dst = between(dst, done, done+i)
		dst = append(dst, span{done + i, done + i + len(l), true})
		done += i + len(l)
	}
}

// charClass matches single characters.
type charClass func(r rune) bool

func (c charClass) find(s string, dst []span) []span {
	done := 0
	for i, r := range s {
		if c(r) {
			dst = between(dst, done, i)
			done = i + utf8.RuneLen(r)
			dst = append(dst, span{i, done, true})
		}
	}
	return between(dst, done, len(s))
}

// words matches \w+|[^\w\s]+.
type words struct{}

func (words) find(s string, dst []span) []span {
	start, was := 0, wordClass(rune(s[0]))
	for i, r := range s {
		if is := wordClass(r); i == 0 {
			was = is
		} else if is != was {
			dst = append(dst, span{start, i, was != classSpace})
			start, was = i, is
		}
	}
	return append(dst, span{start, len(s), was != classSpace})
}

// inverted takes matches for what lies between and the other way round.
type inverted struct{ pattern }

func (p inverted) find(s string, dst []span) []span {
	before := len(dst)
	dst = p.pattern.find(s, dst)
	for i := range dst[before:] {
		dst[before+i].match = !dst[before+i].match
	}
	return dst
}

// between appends the span from start to end, which no match covers, unless it is empty.
func between(dst []span, start, end int) []span {
	if start < end {
		dst = append(dst, span{start, end, false})
	}
	return dst
}

// matchTimeout is for one match: patterns that backtrack without end must not hang the program.
const matchTimeout = 2 * time.Second

// maxRegex is far beyond any pattern in use, and keeps the compiler's recursion shallow.
const maxRegex = 1 << 16

// regex is a regular expression.
type regex struct{ *regexp2.Regexp }

// newRegex reads expr. The patterns of well-known models have scanners of their own, for they are on the way of every
// text.
func newRegex(expr string) (pattern, error) {
	if s, ok := scanners[expr]; ok {
		return s, nil
	}
	return compile(expr)
}

// compile reads expr in the syntax of Oniguruma's Ruby mode, which Hugging Face's library uses.
func compile(expr string) (regex, error) {
	if len(expr) > maxRegex {
		return regex{}, fmt.Errorf("regex %.40q… has %d bytes, want at most %d", expr, len(expr), maxRegex)
	}
	translated, err := translate(expr)
	if err != nil {
		return regex{}, fmt.Errorf("regex %.200q: %w", expr, err)
	}
	// Multiline: in Ruby's syntax ^ and $ are always those of a line.
	re, err := regexp2.Compile(translated, regexp2.Multiline)
	if err != nil {
		return regex{}, fmt.Errorf("regex %.200q: %w", expr, err)
	}
	re.MatchTimeout = matchTimeout
	return regex{re}, nil
}

// find works on characters, for the library does: given a string it would convert it for every match. A match that
// takes longer than matchTimeout ends the search, and the rest counts as not matched.
func (p regex) find(s string, dst []span) []span {
	runes := []rune(s)
	at, offset := 0, 0 // the same place in runes and in s
	seek := func(rune int) int {
		for ; at < rune; at++ {
			offset += utf8.RuneLen(runes[at])
		}
		return offset
	}
	done := 0
	m, err := p.FindRunesMatch(runes)
	for first := true; m != nil && err == nil; first = false {
		start := seek(m.RuneIndex)
		end := seek(m.RuneIndex + m.RuneLength)
		// An empty match right after another one does not count.
		if start < end || first || start > done {
			dst = between(dst, done, start)
			dst = append(dst, span{start, end, true})
			done = end
		}
		m, err = p.FindNextMatch(m)
	}
	return between(dst, done, len(s))
}
