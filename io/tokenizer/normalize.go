package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer rewrites the text before it is cut into words.
type normalizer interface {
	// normalize fails if the result is much longer than the text.
	normalize(w *worker, p part) part
}

// unicodeForm is one of the four normalization forms of Unicode.
type unicodeForm struct{ norm.Form }

func (f unicodeForm) normalize(_ *worker, p part) part {
	p.text = normalForm(f.Form, p.text)
	return p
}

type lowercase struct{}

// normalize maps each character separately, by Unicode's full mapping without context: only İ becomes two characters.
func (lowercase) normalize(_ *worker, p part) part {
	p.text = strings.ToLower(strings.ReplaceAll(p.text, "İ", "i\u0307"))
	return p
}

type prepend string

func (n prepend) normalize(_ *worker, p part) part {
	if p.text != "" {
		p.text = string(n) + p.text
	}
	return p
}

// replace puts content in place of every match. As a decoder it works within each token.
type replace struct {
	pattern pattern
	content string
}

func (n replace) normalize(w *worker, p part) part {
	text, head := n.apply(w, p.text)
	// If something replaces several characters, it counts as starting at the last of them.
	characters := utf8.RuneCountInString(p.text[:max(head, 0)])
	atStart := head <= 0 || characters == 1 && n.content != ""
	return part{text, p.first && atStart}
}

// apply replaces in s; head is the length of the match at the start of s, -1 if there is none.
func (n replace) apply(w *worker, s string) (result string, head int) {
	head = -1
	if old, ok := n.pattern.(literal); ok {
		if strings.HasPrefix(s, string(old)) {
			head = len(old)
		}
		if grown := strings.Count(s, string(old)) * (len(n.content) - len(old)); grown > 0 && !w.fits(n, len(s), len(s)+grown) {
			return s, head
		}
		return strings.ReplaceAll(s, string(old), n.content), head
	}
	if s == "" {
		return s, head
	}
	w.spans = n.pattern.find(s, w.spans[:0], w)
	size := 0
	for _, sp := range w.spans {
		if sp.match {
			size += len(n.content)
		} else {
			size += sp.end - sp.start
		}
	}
	if w.err != nil || !w.fits(n, len(s), size) {
		return s, head
	}
	var b strings.Builder
	b.Grow(size)
	for i, sp := range w.spans {
		if !sp.match {
			b.WriteString(s[sp.start:sp.end])
			continue
		}
		b.WriteString(n.content)
		if i == 0 {
			head = sp.end
		}
	}
	return b.String(), head
}

// strip removes white space at the ends.
type strip struct{ left, right bool }

func (n strip) normalize(_ *worker, p part) part {
	if n.left {
		trimmed := strings.TrimLeftFunc(p.text, unicode.IsSpace)
		p = part{trimmed, p.first && len(trimmed) == len(p.text)}
	}
	if n.right {
		p.text = strings.TrimRightFunc(p.text, unicode.IsSpace)
	}
	return p
}

// normalizers run one after another.
type normalizers []normalizer

func (ns normalizers) normalize(w *worker, p part) part {
	before := len(p.text)
	for _, n := range ns {
		p = n.normalize(w, p)
		if w.err != nil || !w.fits(n, before, len(p.text)) {
			return part{}
		}
	}
	return p
}
