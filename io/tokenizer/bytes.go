package tokenizer

import (
	"strings"
)

// Bytes returns the bytes that each id adds within a text. Unlike Decode, it returns parts of characters as they are and not
// as U+FFFD. Ids that add nothing, or whose text depends on their surroundings, have nil, as have special tokens unless keep
// returns true.
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

// letter returns a token that is the letter a in any place.
func (t *Tokenizer) letter() (uint32, bool) {
	id, ok := t.ID("a")
	return id, ok && t.Decode([]uint32{id, id, id}, false) == "aaa"
}

// partOf returns the bytes of a token that is only part of a character, otherwise nil.
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
