package tokenizer

import (
	"bytes"
	"testing"
)

// The bytes of a text's tokens are the text, in every real tokenizer, with characters of several tokens among them.
func TestBytesOfTokensAreTheText(t *testing.T) {
	for _, file := range families {
		tok := load(t, file)
		all := tok.Bytes(func(string) bool { return false })
		const text = `x{"name": "Ünïcödé 😀 日本語", "n": [1, -2.5e3]}` + "\n\n  end"
		ids, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, id := range ids {
			if all[id] == nil {
				t.Errorf("%s: token %d (%q) has no bytes", file, id, tok.text(id))
			}
			got = append(got, all[id]...)
		}
		if got = bytes.TrimPrefix(got, []byte(" ")); string(got) != tok.Decode(ids, true) {
			t.Errorf("%s: got %q, want %q", file, got, tok.Decode(ids, true))
		}
		for id := range all {
			if tok.IsSpecial(uint32(id)) && all[id] != nil {
				t.Errorf("%s: the special token %d has bytes", file, id)
			}
		}
		if kept := tok.Bytes(func(string) bool { return true }); len(kept) != tok.Size() {
			t.Errorf("%s: got %d tokens, want %d", file, len(kept), tok.Size())
		}
	}
}
