package tokenizer

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse feeds the loader, and uses what it takes.
func FuzzParse(f *testing.F) {
	for i, g := range goldens(f) {
		if i%8 == 0 && len(g.Tokenizer) < 20000 {
			f.Add([]byte(g.Tokenizer))
		}
	}
	f.Add([]byte(with("decoder", `{"type": "Strip", "content": " ", "start": 4294967295, "stop": 4294967295}`)))
	f.Add([]byte(with("model", `{"type": "Unigram", "vocab": [["", -1e308], ["a", 1e308], ["aa", 1e308]], "unk_id": 0}`)))
	f.Add([]byte(with("added_tokens", `[{"id": 9, "content": " ", "lstrip": true, "rstrip": true, "single_word": true}]`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := Parse("fuzz", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "tokenizer: fuzz: ") {
				t.Errorf("the error %q does not name the file", err)
			}
			return
		}
		checkUse(t, tok, "Hello  wörld, <s>日本語</s>\n ab\xff")
	})
}

// checkUse encodes and decodes, and holds what must be true of every tokenizer.
func checkUse(t *testing.T, tok *Tokenizer, text string) {
	ids, err := tok.Encode(text, true)
	if err != nil {
		return
	}
	for _, id := range ids {
		if _, ok := tok.Token(id); !ok || int(id) >= tok.Size() {
			t.Fatalf("Encode gave id %d, which stands for nothing", id)
		}
	}
	for _, skip := range []bool{false, true} {
		whole := tok.Decode(ids, skip)
		if !utf8.ValidString(whole) {
			t.Errorf("Decode gave %q, which is not UTF-8", whole)
		}
		if got := streamed(t, tok, ids, skip); got != whole {
			t.Errorf("stream gave %q, Decode %q", got, whole)
		}
	}
}

// subjects are tokenizers of every kind to fuzz.
func subjects(tb testing.TB) []*Tokenizer {
	all := []*Tokenizer{load(tb, "gpt2"), load(tb, "llama3like"), load(tb, "tinyllama")}
	for i, g := range goldens(tb) {
		if i%4 != 0 {
			continue
		}
		tok, err := Parse(g.Name, g.Tokenizer)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, tok)
	}
	return all
}

// FuzzEncode feeds texts to the tokenizer of the given number.
func FuzzEncode(f *testing.F) {
	all := subjects(f)
	for i := range all {
		f.Add(uint8(i), "The cat's 2 hats,\tnaïve 日本語 <s>x</s> <|endoftext|>\r\n  \xe6\x97 ▁a", uint16(3))
	}
	f.Fuzz(func(t *testing.T, which uint8, text string, repeat uint16) {
		if len(text) > 1000 {
			return
		}
		tok := all[int(which)%len(all)]
		checkUse(t, tok, text)
		checkUse(t, tok, strings.Repeat(text, 1+int(repeat)%50))

		want := validUTF8(text)
		for i, tok := range all[:3] {
			if i == 2 && strings.ContainsAny(want, "▁<") {
				continue // what ▁ and added tokens become is not what they were
			}
			if got := tok.Decode(encode(t, tok, text, false), false); got != want {
				t.Errorf("%s: %q came back as %q", families[i], want, got)
			}
		}
	})
}

// FuzzDecode feeds ids, four bytes each, to the tokenizer of the given number.
func FuzzDecode(f *testing.F) {
	all := subjects(f)
	for i := range all {
		f.Add(uint8(i), []byte("\x00\x00\x00\x00\xe6\x00\x00\x00\x05\x01\x00\x00\xff\xff\xff\xff\x20\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		tok := all[int(which)%len(all)]
		ids := make([]uint32, len(data)/4)
		for i := range ids {
			ids[i] = binary.LittleEndian.Uint32(data[4*i:])
			if ids[i] < 1<<24 {
				ids[i] %= uint32(tok.Size() + 1)
			}
		}
		for _, skip := range []bool{false, true} {
			whole := tok.Decode(ids, skip)
			if !utf8.ValidString(whole) {
				t.Errorf("Decode(%v) = %q, which is not UTF-8", ids, whole)
			}
			if got := streamed(t, tok, ids, skip); got != whole {
				t.Errorf("%v: stream gave %q, Decode %q", ids, got, whole)
			}
		}
	})
}
