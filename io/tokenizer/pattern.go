package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A span is a part of a text, from byte start to byte end, end excluded.
type span struct {
	start, end int
	match      bool // whether the pattern matched it, as opposed to text between matches
}

// A pattern cuts a text into matches and what is between them.
type pattern interface {
	// find appends the spans of s, which is not empty, in order; together they cover it.
	find(s string, dst []span, w *worker) []span
}

// literal matches a string, which is not empty.
type literal string

func (l literal) find(s string, dst []span, _ *worker) []span {
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

func (c charClass) find(s string, dst []span, _ *worker) []span {
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

func (words) find(s string, dst []span, _ *worker) []span {
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

// inverted swaps matches and what is between them.
type inverted struct{ pattern }

func (p inverted) find(s string, dst []span, w *worker) []span {
	before := len(dst)
	dst = p.pattern.find(s, dst, w)
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

// maxRegex is far above any pattern in use, and limits the parser's recursion.
const maxRegex = 1 << 16

// regex is a regular expression.
type regex struct {
	expr string
	*program
}

// newRegex reads expr. The patterns of well-known models have their own scanners, because every text passes through them.
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
	if err == nil {
		var p *program
		if p, err = newProgram(translated); err == nil {
			return regex{expr, p}, nil
		}
	}
	return regex{}, fmt.Errorf("regex %.200q: %w", expr, err)
}

// find stops, and leaves the rest unmatched, when the worker's steps are used up.
func (p regex) find(s string, dst []span, w *worker) []span {
	before := w.machine.steps
	defer func() {
		if took := before - w.machine.steps; took > w.most {
			w.costly, w.most = p.expr, took
		}
	}()
	done, from := 0, 0
	for first := true; ; first = false {
		start, end, ok := w.machine.search(p.program, s, done, from)
		if w.machine.steps < 0 {
			w.fail(fmt.Errorf("regex %.200q goes back and forth too often: it takes more than %d steps and %d for each of the text's %d bytes",
				p.expr, stepsPerText, stepsPerByte, w.size))
			ok = false
		}
		if !ok {
			return between(dst, done, len(s))
		}
		// An empty match right after another match does not count.
		if start < end || first || start > done {
			dst = between(dst, done, start)
			dst = append(dst, span{start, end, true})
			done = end
		}
		if from = end; start == end {
			if from == len(s) {
				return between(dst, done, len(s))
			}
			_, width := utf8.DecodeRuneInString(s[from:])
			from += width
		}
	}
}
