package chat

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape decodes the inside of a string literal like Python's unicode_escape codec.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		if i+1 == len(s) {
			return "", errors.New(`'\' at end of string`)
		}
		c := s[i+1]
		i += 2
		if at := strings.IndexByte("\\'\"abfnrtv", c); at >= 0 {
			b.WriteByte("\\'\"\a\b\f\n\r\t\v"[at])
			continue
		}
		width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		switch {
		case c == '\n':
		case width > 0:
			if len(s) < i+width {
				return "", errors.New("truncated escape")
			}
			code, err := strconv.ParseUint(s[i:i+width], 16, 32)
			if err != nil || code > utf8.MaxRune {
				return "", errors.New("illegal escape")
			}
			b.WriteRune(rune(code))
			i += width
		case '0' <= c && c <= '7':
			end := i
			for end < len(s) && end < i+2 && '0' <= s[end] && s[end] <= '7' {
				end++
			}
			code, _ := strconv.ParseUint(s[i-1:end], 8, 32)
			b.WriteRune(rune(code))
			i = end
		case c == 'N':
			return "", errors.New("characters by name are not supported")
		case c >= utf8.RuneSelf:
			// Python first writes the character as an escape, and the backslash before it then escapes that.
			r, size := utf8.DecodeRuneInString(s[i-1:])
			b.WriteString(`\` + backslashed(r)[1:])
			i += size - 1
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// backslashed writes a character as \xNN, \uNNNN or \UNNNNNNNN.
func backslashed(r rune) string {
	hex := strconv.FormatInt(int64(r), 16)
	switch {
	case r < 0x100:
		return `\x` + strings.Repeat("0", 2-len(hex)) + hex
	case r < 0x10000:
		return `\u` + strings.Repeat("0", 4-len(hex)) + hex
	}
	return `\U` + strings.Repeat("0", 8-len(hex)) + hex
}
