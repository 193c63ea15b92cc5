package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Python's strings: counted and sliced by characters, with Python's white space, lines and cases.

// isSpace is str.isspace for one character, and \s of a regular expression.
func isSpace(r rune) bool {
	return 0x1c <= r && r <= 0x1f || unicode.IsSpace(r)
}

func runeCount(s string) int { return utf8.RuneCountInString(s) }

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// byteAt returns the byte offset of character i of s; i is at most the number of characters.
func byteAt(s string, i int) int {
	if i <= 0 {
		return 0
	}
	for at := range s {
		if i == 0 {
			return at
		}
		i--
	}
	return len(s)
}

// cut is s[start:stop] by characters, where 0 <= start and stop <= the number of characters.
func cut(s string, start, stop int) string {
	if start >= stop {
		return ""
	}
	if ascii(s) {
		return s[start:stop]
	}
	from := byteAt(s, start)
	return s[from : from+byteAt(s[from:], stop-start)]
}

// stripSet is what strip removes: white space, or the characters of a string.
func stripSet(chars value) func(rune) bool {
	if _, ok := chars.(noneType); ok || chars == nil {
		return isSpace
	}
	set, ok := text(chars)
	if !ok {
		raise("strip arg must be None or str")
	}
	return func(r rune) bool { return strings.ContainsRune(set, r) }
}

// isLineEnd reports whether splitlines splits at a character, apart from "\r\n".
func isLineEnd(r rune) bool {
	return '\n' <= r && r <= '\r' || 0x1c <= r && r <= 0x1e || r == 0x85 || r == 0x2028 || r == 0x2029
}

func splitLines(s string, keep bool) []string {
	var lines []string
	for s != "" {
		i := strings.IndexFunc(s, isLineEnd)
		if i < 0 {
			return append(lines, s)
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			lines = append(lines, s[:i+n])
		} else {
			lines = append(lines, s[:i])
		}
		s = s[i+n:]
	}
	return lines
}

// splitSpace is str.split() without a separator: at runs of white space, at most limit times unless limit is negative.
func splitSpace(s string, limit int) []string {
	var parts []string
	for {
		s = strings.TrimLeftFunc(s, isSpace)
		if s == "" {
			return parts
		}
		i := strings.IndexFunc(s, isSpace)
		if limit >= 0 && len(parts) == limit {
			return append(parts, s)
		}
		if i < 0 {
			return append(parts, s)
		}
		parts, s = append(parts, s[:i]), s[i:]
	}
}

// rsplitSpace is splitSpace from the right.
func rsplitSpace(s string, limit int) []string {
	var parts []string
	for {
		s = strings.TrimRightFunc(s, isSpace)
		if s == "" {
			break
		}
		i := strings.LastIndexFunc(s, isSpace)
		if i < 0 || limit >= 0 && len(parts) == limit {
			parts = append(parts, s)
			break
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		parts, s = append(parts, s[i+n:]), s[:i]
	}
	reverse(parts)
	return parts
}

// rsplit is str.rsplit with a separator.
func rsplit(s, sep string, limit int) []string {
	if limit < 0 {
		return strings.Split(s, sep)
	}
	var parts []string
	for len(parts) < limit {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		parts, s = append(parts, s[i+len(sep):]), s[:i]
	}
	parts = append(parts, s)
	reverse(parts)
	return parts
}

func reverse[T any](s []T) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

func upper(s string) string {
	if ascii(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

func lower(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und, cases.HandleFinalSigma(true)).String(s)
}

// titleRune returns the title case of one character, which may be several characters.
func titleRune(r rune) string {
	if r < utf8.RuneSelf {
		return string(unicode.ToUpper(r))
	}
	return cases.Title(language.Und, cases.NoLower).String(string(r))
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return titleRune(r) + lower(s[n:])
}

func isCased(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r)
}

// title is str.title: a word begins after a character without case.
func title(s string) string {
	var b strings.Builder
	start := -1 // of the rest of a word, which is lowercased at once
	flush := func(end int) {
		if start >= 0 {
			b.WriteString(lower(s[start:end]))
			start = -1
		}
	}
	cased := false
	for i, r := range s {
		switch {
		case !isCased(r):
			flush(i)
			b.WriteRune(r)
		case !cased:
			b.WriteString(titleRune(r))
		case start < 0:
			start = i
		}
		cased = isCased(r)
	}
	flush(len(s))
	return b.String()
}

func swapCase(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsUpper(r):
			b.WriteString(lower(string(r)))
		case unicode.IsLower(r):
			b.WriteString(upper(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// every reports whether s has characters and ok holds for all of them.
func every(s string, ok func(rune) bool) bool {
	for _, r := range s {
		if !ok(r) {
			return false
		}
	}
	return s != ""
}

// isCase is str.isupper or str.islower: something is cased, and nothing is in one of the other cases.
func isCase(s string, want func(rune) bool, other ...func(rune) bool) bool {
	found := false
	for _, r := range s {
		for _, o := range other {
			if o(r) {
				return false
			}
		}
		found = found || want(r)
	}
	return found
}

func isUpper(s string) bool { return isCase(s, unicode.IsUpper, unicode.IsLower, unicode.IsTitle) }
func isLower(s string) bool { return isCase(s, unicode.IsLower, unicode.IsUpper, unicode.IsTitle) }

func isTitle(s string) bool {
	cased, found := false, false
	for _, r := range s {
		switch {
		case unicode.IsUpper(r) || unicode.IsTitle(r):
			if cased {
				return false
			}
			cased, found = true, true
		case unicode.IsLower(r):
			if !cased {
				return false
			}
		default:
			cased = false
		}
	}
	return found
}

func isAlphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// isPrintable reports whether Python's repr leaves a character as it is.
func isPrintable(r rune) bool { return r == ' ' || unicode.IsPrint(r) }
