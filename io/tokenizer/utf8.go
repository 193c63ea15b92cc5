package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// replacement stands for invalid UTF-8.
const replacement = "\uFFFD"

// validUTF8 returns s with U+FFFD for every maximal ill-formed part (Unicode 16, §3.9, table 3-8), as lossy decoding in Rust
// and Python does, through which text reaches Hugging Face's library.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(replacement))
	for s != "" {
		n, whole := sequence(s)
		if whole {
			b.WriteString(s[:n])
		} else {
			b.WriteString(replacement)
		}
		s = s[n:]
	}
	return b.String()
}

// sequence returns the length of the first character of s or, if whole is false, of its first maximal ill-formed part.
func sequence[S string | []byte](s S) (n int, whole bool) {
	c := s[0]
	low, high := byte(0x80), byte(0xBF) // range of the second byte
	var want int
	switch {
	case c < 0x80:
		return 1, true
	case c >= 0xC2 && c <= 0xDF:
		want = 2
	case c >= 0xE0 && c <= 0xEF:
		want = 3
		switch c {
		case 0xE0:
			low = 0xA0
		case 0xED:
			high = 0x9F
		}
	case c >= 0xF0 && c <= 0xF4:
		want = 4
		switch c {
		case 0xF0:
			low = 0x90
		case 0xF4:
			high = 0x8F
		}
	default:
		return 1, false
	}
	for n = 1; n < want; n++ {
		if n == len(s) || s[n] < low || s[n] > high {
			return n, false
		}
		low, high = 0x80, 0xBF
	}
	return want, true
}

// cutShort reports whether s is the beginning of a character that more bytes could complete.
func cutShort(s []byte) bool {
	if len(s) == 0 || len(s) >= utf8.UTFMax {
		return false
	}
	n, whole := sequence(s)
	return !whole && n == len(s) && s[0] >= 0xC2 && s[0] <= 0xF4
}
