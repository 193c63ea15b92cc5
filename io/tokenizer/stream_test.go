package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// streamed is what a stream makes of ids.
func streamed(t *testing.T, tok *Tokenizer, ids []uint32, skipSpecial bool) string {
	t.Helper()
	var b strings.Builder
	s := tok.NewStream(skipSpecial)
	for i, id := range ids {
		text := s.Next(id)
		if rest, want := s.Clone().Flush(), tok.Decode(ids[:i+1], skipSpecial); b.String()+text+rest != want {
			t.Errorf("%v, to be flushed by a clone: got %q and %q and %q, want %q", ids[:i+1], b.String(), text, rest, want)
		}
		if !utf8.ValidString(text) {
			t.Errorf("Next(%d) = %q, not whole characters", id, text)
		}
		b.WriteString(text)
	}
	b.WriteString(s.Flush())
	return b.String()
}

// TestStreamIsDecode streams what the cases decode, and random ids, with every kind of decoder.
func TestStreamIsDecode(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	check := func(tok *Tokenizer, ids []uint32) {
		for _, skip := range []bool{false, true} {
			if got, want := streamed(t, tok, ids, skip), tok.Decode(ids, skip); got != want {
				t.Errorf("stream of %v, skip %v:\n got %q\nwant %q", ids, skip, got, want)
			}
		}
	}
	for _, g := range goldens(t) {
		tok, err := Parse(g.Name, g.Tokenizer)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Decodes {
			check(tok, c.IDs)
		}
	}
	for _, family := range families {
		tok := load(t, family)
		for _, c := range lines[tokenizerCase](t, family, "cases.jsonl") {
			check(tok, c.IDsSpecial)
		}
		for range 300 {
			ids := make([]uint32, random.IntN(30))
			for i := range ids {
				ids[i] = uint32(random.IntN(tok.Size() + 5))
				if random.IntN(2) == 0 {
					ids[i] %= 300 // bytes
				}
			}
			check(tok, ids)
		}
	}
}

// TestStreamIsPrompt checks that text comes as soon as it is certain, and that a cut character never shows.
func TestStreamIsPrompt(t *testing.T) {
	const text = "Hello wörld, 日本語 and 😀👩‍👩‍👧 𝔘𝔫𝔦. End"
	for _, family := range families {
		tok := load(t, family)
		s := tok.NewStream(true)
		got := ""
		ids := encode(t, tok, text, true)
		for i, id := range ids {
			next := s.Next(id)
			if strings.Contains(next, replacement) {
				t.Errorf("%s: Next(%d) = %q", family, id, next)
			}
			got += next
			// All of the text so far is certain unless it ends within a character, or, with byte tokens, just after one.
			whole := tok.Decode(ids[:i+1], true)
			if piece, _ := tok.Token(id); !strings.Contains(whole, replacement) && !strings.HasPrefix(piece, "<0x") && got != whole {
				t.Errorf("%s: after %q the stream gave %q, want %q", family, piece, got, whole)
			}
		}
		if got += s.Flush(); got != text {
			t.Errorf("%s: streamed %q, want %q", family, got, text)
		}
		// After Flush another text begins: its first space is stripped again.
		for _, id := range encode(t, tok, "again", false) {
			got = s.Next(id)
		}
		if rest := s.Flush(); !strings.HasSuffix("again", got) || rest != "" {
			t.Errorf("%s: the second text ended in %q, %q", family, got, rest)
		}
	}
}

func TestStreamOfCutCharacter(t *testing.T) {
	for _, family := range families {
		tok := load(t, family)
		ids := encode(t, tok, "😀", false)
		ids = ids[:len(ids)-1]
		s := tok.NewStream(false)
		for _, id := range ids {
			if text := s.Next(id); strings.Contains(text, replacement) {
				t.Errorf("%s: Next(%d) = %q", family, id, text)
			}
		}
		if rest := s.Flush(); !strings.HasPrefix(rest, replacement) {
			t.Errorf("%s: Flush() = %q, want %q", family, rest, replacement)
		}
	}
}

// TestClones: a copy at any point ends the text as Decode does, and its original goes on as if there were none; of a
// character that two ids hold, the copy shows U+FFFD and the original, in the end, the character.
func TestClones(t *testing.T) {
	const text = "Hello wörld, 日本語 and 😀👩‍👩‍👧 𝔘𝔫𝔦. ȅL3ȅ End"
	check := func(name string, tok *Tokenizer) {
		ids, err := tok.Encode(text, false)
		if err != nil {
			return
		}
		s, got := tok.NewStream(true), ""
		for n, id := range ids {
			got += s.Next(id)
			c := s.Clone()
			if end, want := got+c.Flush(), tok.Decode(ids[:n+1], true); end != want {
				t.Errorf("%s: a copy after %d ids ended in %q, want %q", name, n+1, end, want)
			}
			c.Next(ids[0]) // another text
			c.Flush()
		}
		if got += s.Flush(); got != tok.Decode(ids, true) {
			t.Errorf("%s: %q, want %q", name, got, tok.Decode(ids, true))
		}
	}
	for _, family := range families {
		check(family, load(t, family))
	}
	for _, g := range goldens(t) {
		tok, err := Parse(g.Name, g.Tokenizer)
		if err != nil {
			t.Fatal(err)
		}
		check(g.Name, tok)
	}
}
