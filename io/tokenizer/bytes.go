package tokenizer

import (
	"strings"
)

// Bytes are what each id adds to a text within which it stands: also parts of a character, which a text has as bytes and Decode only
// as U+FFFD. It is nil of what adds nothing, of special tokens but for those that keep says yes to, and of what is not
// the same everywhere.
func (t *Tokenizer) Bytes(keep func(piece string) bool) [][]byte {
	all := make([][]byte, t.Size())
	letter, ok := t.letter()
	if !ok {
		return all
	}
	for i := range all {
		id := uint32(i)
		if !t.has(id, known) || t.has(id, special) && !keep(t.pieces[id]) {
			continue
		}
		text := t.Decode([]uint32{letter, id, letter}, false)
		rest, ok := strings.CutPrefix(text, "a")
		if rest, ok2 := strings.CutSuffix(rest, "a"); ok && ok2 {
			if !strings.Contains(rest, replacement) {
				all[i] = []byte(rest)
			} else {
				all[i] = partOf(t.text(id))
			}
		}
	}
	return all
}

// letter is a token that is the letter a wherever it stands.
func (t *Tokenizer) letter() (uint32, bool) {
	id, ok := t.ID("a")
	return id, ok && t.Decode([]uint32{id, id, id}, false) == "aaa"
}

// partOf are the bytes of a token that is no whole character, nil where it is none.
func partOf(piece string) []byte {
	if b, ok := byteOf(piece); ok {
		return []byte{b}
	}
	var bytes []byte
	for _, r := range piece {
		b, ok := charBytes[r]
		if !ok {
			return nil
		}
		bytes = append(bytes, b)
	}
	return bytes
}
