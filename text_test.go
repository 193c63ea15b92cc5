package bitgpu

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"bitgpu/demo"
	"bitgpu/io/tokenizer"
)

func TestStopTexts(t *testing.T) {
	for _, c := range []struct {
		pieces, stops []string
		want          []string // what leaves after each piece, then the rest
		stopped       bool
	}{
		{[]string{"one", " two"}, nil, []string{"one", " two", ""}, false},
		{[]string{"one", " two"}, []string{"xyz"}, []string{"one", " two", ""}, false},
		{[]string{"on", "e tw", "o"}, []string{"e two"}, []string{"on", "", ""}, true},
		{[]string{"aaab"}, []string{"aab"}, []string{"a"}, true},
		{[]string{"a", "a", "a", "b"}, []string{"aab"}, []string{"", "", "a", ""}, true},
		{[]string{"\n", "\n", "x"}, []string{"\n\nEND"}, []string{"", "", "\n\nx", ""}, false},
		{[]string{"tail ab"}, []string{"abc"}, []string{"tail ", "ab"}, false},
		{[]string{"x later first"}, []string{"first", "later"}, []string{"x "}, true},
		{[]string{"日", "本"}, []string{"日本語"}, []string{"", "", "日本"}, false},
	} {
		w := &stopper{stops: c.stops}
		var got []string
		stopped := false
		for _, piece := range c.pieces {
			text, s := w.next(piece)
			got = append(got, text)
			if stopped = s; s {
				break
			}
		}
		if !stopped {
			got = append(got, w.held)
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") || stopped != c.stopped {
			t.Errorf("%q, stops %q: got %q, want %q (stopped %v)", c.pieces, c.stops, got, c.want, stopped)
		}
	}
}

// A text that is written in several calls, each of which shows what it can, is the text of one call. What the tokenizers
// hold back is the beginning of a character, or whole ones in bytes that are a token each.
func TestCallsJoined(t *testing.T) {
	const text = "日本語 🎉 and é, 日"
	toks := map[string]*tokenizer.Tokenizer{"bytes": open(t, "d32-none").tok}
	for _, family := range []string{"gpt2", "llama3like", "tinyllama"} {
		f, err := os.Open(filepath.Join("io/tokenizer/testdata", family, "tokenizer.json.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if toks[family], err = tokenizer.Parse(family, data); err != nil {
			t.Fatal(err)
		}
	}
	for name, tok := range toks {
		ids, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		whole := &decoder{stream: tok.NewStream(true)}
		var want strings.Builder
		for _, id := range ids {
			want.WriteString(whole.next(id))
		}
		want.WriteString(whole.rest())
		for every := 1; every < len(ids); every++ {
			d := &decoder{stream: tok.NewStream(true)}
			var got strings.Builder
			for i, id := range ids {
				got.WriteString(d.next(id))
				if i%every == 0 {
					got.WriteString(d.rest() + d.rest())
					d = d.clone()
				}
				if !utf8.ValidString(got.String()) || !strings.HasPrefix(want.String(), got.String()) {
					t.Fatalf("%s, calls of %d tokens: %q after %d", name, every, got.String(), i+1)
				}
			}
			got.WriteString(d.rest())
			if got.String() != want.String() || !strings.HasSuffix(got.String(), text) {
				t.Errorf("%s, calls of %d tokens: got %q, want %q", name, every, got.String(), want.String())
			}
		}
	}
}

// What was shown and turns out otherwise is not shown twice, nor is a character torn.
func TestShownOnce(t *testing.T) {
	for _, c := range []struct{ shown, piece, want, left string }{
		{"", "a", "a", ""}, {"a", "", "", "a"}, {"word", "word ", " ", ""}, {"ab", "a", "", "b"}, {"é", "è!", "è!", ""}, {"aé", "aè", "è", ""},
	} {
		d := &decoder{shown: c.shown}
		if got := d.unseen(c.piece); got != c.want || d.shown != c.left {
			t.Errorf("%q after %q: got %q and %q, want %q and %q", c.piece, c.shown, got, d.shown, c.want, c.left)
		}
	}
}

// With a tokenizer of single bytes each character comes in several tokens; it leaves whole.
func TestCharactersLeaveWhole(t *testing.T) {
	m := open(t, "d32-none")
	const text = "日本語 🎉 and é"
	ids, err := m.Encode(text, false)
	if err != nil || len(ids) < utf8.RuneCountInString(text) {
		t.Fatalf("%d ids (%v)", len(ids), err)
	}
	for cut := range len(ids) + 1 {
		d := &decoder{stream: m.tok.NewStream(true)}
		var got strings.Builder
		for _, id := range ids[:cut] {
			piece := d.next(id)
			if !utf8.ValidString(piece) || strings.Contains(piece, "\ufffd") {
				t.Fatalf("%q left", piece)
			}
			got.WriteString(piece)
		}
		got.WriteString(d.rest())
		if !strings.HasPrefix(text, got.String()) || strings.Contains(got.String(), "\ufffd") {
			t.Errorf("after %d tokens: %q", cut, got.String())
		}
		if cut == len(ids) && got.String() != text {
			t.Errorf("got %q, want %q", got.String(), text)
		}
	}
}

// TestSmallIsNotOff: an option that is off at 0 is not off where it is smaller than float32 holds; one that is below 0 is
// refused however near it is.
func TestSmallIsNotOff(t *testing.T) {
	m, err := LoadBytes(demo.Name, demo.Model, WithBackend(CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	write := func(o Options) string {
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		o.MaxTokens, o.Temperature, o.Seed = 8, 1, 3
		text, err := s.Generate(t.Context(), "ROMEO:", o)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	off := write(Options{})
	for name, small := range map[string][2]Options{
		"top-p":          {{TopP: 1e-30}, {TopP: 1e-300}},
		"repeat-penalty": {{RepeatPenalty: 0x1p-126}, {RepeatPenalty: 1e-300}},
	} {
		if got, want := write(small[1]), write(small[0]); got != want || got == off {
			t.Errorf("%s of 1e-300: got %q, want %q, which a small float32 gives, without it %q", name, got, want, off)
		}
	}
	for _, o := range []Options{{TopP: -1e-300}, {RepeatPenalty: -1e-300}} {
		if err := o.Validate(); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
