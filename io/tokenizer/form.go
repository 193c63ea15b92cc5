package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalForm returns s in one of Unicode's normalization forms.
//
// The norm package follows the stream-safe text process (UAX #15, §13): after thirty marks on one letter it inserts a
// combining grapheme joiner, which is not part of any normalization form. Such text is normalized here, character by
// character.
func normalForm(f norm.Form, s string) string {
	const joiner = "\u034F"
	n := f.String(s)
	if strings.Count(n, joiner) == strings.Count(s, joiner) {
		return n
	}
	type mark struct {
		r     rune
		class uint8 // canonical combining class
	}
	decomposition := norm.NFD
	if f == norm.NFKC || f == norm.NFKD {
		decomposition = norm.NFKD
	}
	var marks []mark
	for _, r := range s {
		for _, d := range decomposition.String(string(r)) {
			marks = append(marks, mark{d, decomposition.PropertiesString(string(d)).CCC()})
		}
	}
	for i := 0; i < len(marks); i++ {
		start := i
		for i < len(marks) && marks[i].class != 0 {
			i++
		}
		slices.SortStableFunc(marks[start:i], func(a, b mark) int { return int(a.class) - int(b.class) })
	}
	if f == norm.NFC || f == norm.NFKC {
		out := marks[:0]
		starter := -1
		for _, m := range marks {
			if starter >= 0 {
				last := out[len(out)-1]
				adjacent := len(out)-1 == starter
				if adjacent || last.class != 0 && last.class < m.class {
					composed := f.String(string(out[starter].r) + string(m.r))
					if r, n := utf8.DecodeRuneInString(composed); n == len(composed) {
						out[starter].r = r
						continue
					}
				}
			}
			out = append(out, m)
			if m.class == 0 {
				starter = len(out) - 1
			}
		}
		marks = out
	}
	var b strings.Builder
	for _, m := range marks {
		b.WriteRune(m.r)
	}
	return b.String()
}
