package tokenizer

import (
	"strings"
	"unicode"
)

// A part is a piece of the text on its way to the model.
type part struct {
	text  string
	first bool // whether it is at the start of the whole text
}

// cut returns the part from start to end.
func (p part) cut(start, end int) part { return part{p.text[start:end], p.first && start == 0} }

// append appends the part from start to end, unless it is empty.
func (p part) append(dst []part, start, end int) []part {
	if start == end {
		return dst
	}
	return append(dst, p.cut(start, end))
}

// A preTokenizer cuts a part, which is not empty, into parts that the model sees separately. It appends them to dst, none of
// them empty.
type preTokenizer interface {
	split(w *worker, p part, dst []part) []part
}

// preTokenize runs the pre-tokenizers one after another. The result is valid until the next call.
func preTokenize(all []preTokenizer, w *worker, p part) []part {
	in, out := append(w.parts[0][:0], p), w.parts[1]
	for _, pre := range all {
		out = out[:0]
		size := 0
		for _, part := range in {
			before := len(out)
			out = pre.split(w, part, out)
			for _, made := range out[before:] {
				size += len(made.text)
			}
			if w.err != nil || !w.fits(pre, len(p.text), size) {
				return nil
			}
		}
		in, out = out, in
	}
	w.parts[0], w.parts[1] = in, out
	return in
}

// behavior says what happens to the matches of a pattern.
type behavior string

const (
	removed            behavior = "Removed"
	isolated           behavior = "Isolated"
	mergedWithPrevious behavior = "MergedWithPrevious"
	mergedWithNext     behavior = "MergedWithNext"
	contiguous         behavior = "Contiguous" // neighbouring matches are joined
)

// splitter cuts at the matches of a pattern.
type splitter struct {
	pattern
	behavior
}

func (sp splitter) split(w *worker, p part, dst []part) []part {
	w.spans = sp.find(p.text, w.spans[:0], w)
	for _, s := range sp.apply(w.spans) {
		dst = p.append(dst, s.start, s.end)
	}
	return dst
}

// apply joins and removes spans in place.
func (b behavior) apply(spans []span) []span {
	if b == isolated {
		return spans
	}
	out := spans[:0]
	matched := false // whether the previous span matched
	for i, s := range spans {
		joined := false
		switch b {
		case removed:
			if s.match {
				continue
			}
		case contiguous:
			joined = s.match == matched
		case mergedWithPrevious:
			joined = s.match && !matched
		case mergedWithNext:
			// Of neighbouring matches only the last is joined with what follows.
			joined = !s.match && matched
		}
		matched = s.match
		if joined && i > 0 {
			out[len(out)-1].end = s.end
		} else {
			out = append(out, s)
		}
	}
	return out
}

// byteLevel writes every byte as a character, as GPT-2 does.
type byteLevel struct {
	addPrefixSpace bool
	useRegex       bool // first cut by gpt2Pattern
}

func (b byteLevel) split(w *worker, p part, dst []part) []part {
	if b.addPrefixSpace && p.text[0] != ' ' {
		p.text = " " + p.text
	}
	w.spans = w.spans[:0]
	if b.useRegex {
		w.spans = scanners[gpt2Pattern].find(p.text, w.spans, w)
	} else {
		w.spans = append(w.spans, span{end: len(p.text)})
	}
	// All words share one string, because a string for each would cost more than everything else.
	var mapped strings.Builder
	mapped.Grow(len(p.text) + len(p.text)/4)
	for i := range w.spans {
		s := &w.spans[i]
		start := mapped.Len()
		for _, c := range []byte(p.text[s.start:s.end]) {
			mapped.WriteString(byteChars[c])
		}
		s.start, s.end = start, mapped.Len()
	}
	p.text = mapped.String()
	for _, s := range w.spans {
		dst = p.append(dst, s.start, s.end)
	}
	return dst
}

// metaspace writes spaces as a visible character and cuts before each.
type metaspace struct {
	replacement string
	prepend     prependScheme
	cut         bool
}

type prependScheme string

const (
	prependAlways prependScheme = "always"
	prependFirst  prependScheme = "first" // only at the start of the text
	prependNever  prependScheme = "never"
)

func (m metaspace) split(w *worker, p part, dst []part) []part {
	p.text = strings.ReplaceAll(p.text, " ", m.replacement)
	if m.prepend == prependAlways || m.prepend == prependFirst && p.first {
		if !strings.HasPrefix(p.text, m.replacement) {
			p.text = m.replacement + p.text
		}
	}
	if !m.cut {
		return append(dst, p)
	}
	return splitter{literal(m.replacement), mergedWithNext}.split(w, p, dst)
}

// isPunctuation includes ASCII's symbols.
func isPunctuation(r rune) bool {
	return unicode.IsPunct(r) || r < unicode.MaxASCII && unicode.IsSymbol(r)
}

// wordClass returns the classes that the Whitespace pre-tokenizer distinguishes.
func wordClass(r rune) class {
	switch {
	case isWord(r):
		return classLetter
	case unicode.IsSpace(r):
		return classSpace
	}
	return classOther
}
