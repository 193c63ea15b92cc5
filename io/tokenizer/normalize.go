package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer rewrites the text before it is cut into words.
type normalizer interface {
	normalize(p part) part
}

// unicodeForm is one of the four normalization forms of Unicode.
type unicodeForm struct{ norm.Form }

func (f unicodeForm) normalize(p part) part {
	p.text = normalForm(f.Form, p.text)
	return p
}

type lowercase struct{}

// normalize maps each character on its own, as Unicode's full mapping without context has it: only İ becomes two.
func (lowercase) normalize(p part) part {
	p.text = strings.ToLower(strings.ReplaceAll(p.text, "İ", "i\u0307"))
	return p
}

type prepend string

func (n prepend) normalize(p part) part {
	if p.text != "" {
		p.text = string(n) + p.text
	}
	return p
}

// replace puts content in place of every match. As a decoder it does so within each token.
type replace struct {
	pattern pattern
	content string
}

func (n replace) normalize(p part) part {
	if p.first {
		// What stands for several characters is taken to begin at the last of them.
		if s := n.spans(p.text); len(s) > 0 && s[0].match {
			characters := utf8.RuneCountInString(p.text[:s[0].end])
			p.first = characters == 0 || characters == 1 && n.content != ""
		}
	}
	p.text = n.apply(p.text)
	return p
}

func (n replace) spans(s string) []span {
	if s == "" {
		return nil
	}
	return n.pattern.find(s, nil)
}

func (n replace) apply(s string) string {
	if p, ok := n.pattern.(literal); ok {
		return strings.ReplaceAll(s, string(p), n.content)
	}
	var b strings.Builder
	for _, sp := range n.spans(s) {
		if sp.match {
			b.WriteString(n.content)
		} else {
			b.WriteString(s[sp.start:sp.end])
		}
	}
	return b.String()
}

// strip removes white space at the ends.
type strip struct{ left, right bool }

func (n strip) normalize(p part) part {
	if n.left {
		trimmed := strings.TrimLeftFunc(p.text, unicode.IsSpace)
		p = part{trimmed, p.first && len(trimmed) == len(p.text)}
	}
	if n.right {
		p.text = strings.TrimRightFunc(p.text, unicode.IsSpace)
	}
	return p
}

// normalizers run one after the other.
type normalizers []normalizer

func (ns normalizers) normalize(p part) part {
	for _, n := range ns {
		p = n.normalize(p)
	}
	return p
}
