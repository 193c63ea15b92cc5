package tokenizer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A normalizer rewrites the text before it is split.
type normalizer interface {
	normalize(s string) string
}

// unicodeForm is one of the four normalization forms of Unicode.
type unicodeForm struct{ norm.Form }

func (f unicodeForm) normalize(s string) string { return normalForm(f.Form, s) }

type lowercase struct{}

// normalize maps each character on its own, as Unicode's full mapping without context has it: only İ becomes two.
func (lowercase) normalize(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "İ", "i\u0307"))
}

type prepend string

func (p prepend) normalize(s string) string {
	if s == "" {
		return s
	}
	return string(p) + s
}

// replace puts content in place of every match. As a decoder it does so within each token.
type replace struct {
	pattern pattern
	content string
}

func (r replace) normalize(s string) string {
	if p, ok := r.pattern.(literal); ok {
		return strings.ReplaceAll(s, string(p), r.content)
	}
	if s == "" {
		return s
	}
	var b strings.Builder
	for _, sp := range r.pattern.find(s, nil) {
		if sp.match {
			b.WriteString(r.content)
		} else {
			b.WriteString(s[sp.start:sp.end])
		}
	}
	return b.String()
}

// strip removes white space at the ends.
type strip struct{ left, right bool }

func (n strip) normalize(s string) string {
	if n.left {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if n.right {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return s
}

// normalizers run one after the other.
type normalizers []normalizer

func (ns normalizers) normalize(s string) string {
	for _, n := range ns {
		s = n.normalize(s)
	}
	return s
}
