package bitgpu

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// fakeStream hands out prepared pieces.
type fakeStream struct {
	pieces []string
	rest   string
}

func (f *fakeStream) Next(id uint32) string { return f.pieces[id] }
func (f *fakeStream) Flush() string         { return f.rest }

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
		w := &writer{stream: &fakeStream{pieces: c.pieces}, stops: c.stops}
		var got []string
		stopped := false
		for i := range c.pieces {
			text, s := w.next(uint32(i))
			got = append(got, text)
			if stopped = s; s {
				break
			}
		}
		if !stopped {
			rest, _ := w.flush()
			got = append(got, rest)
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") || stopped != c.stopped {
			t.Errorf("%q, stops %q: %q wanted, %q found (stopped %v)", c.pieces, c.stops, c.want, got, stopped)
		}
	}
}

func TestACharacterThatIsCutIsLeftOut(t *testing.T) {
	w := &writer{stream: &fakeStream{pieces: []string{"ok"}, rest: "\ufffd"}}
	if text, _ := w.next(0); text != "ok" {
		t.Errorf("%q", text)
	}
	if rest, cut := w.flush(); rest != "" || !cut {
		t.Errorf("%q, cut %v", rest, cut)
	}
	w = &writer{stream: &fakeStream{pieces: []string{"", "\ufffdnext", "\ufffd"}}, afterCut: true}
	for i, want := range []string{"", "next", "\ufffd"} {
		if text, _ := w.next(uint32(i)); text != want {
			t.Errorf("piece %d: %q wanted, %q found", i, want, text)
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
		w := &writer{stream: m.tok.NewStream(true)}
		var got strings.Builder
		for _, id := range ids[:cut] {
			piece, _ := w.next(id)
			if !utf8.ValidString(piece) || strings.Contains(piece, "\ufffd") {
				t.Fatalf("%q left", piece)
			}
			got.WriteString(piece)
		}
		rest, _ := w.flush()
		got.WriteString(rest)
		if !strings.HasPrefix(text, got.String()) || strings.Contains(got.String(), "\ufffd") {
			t.Errorf("after %d tokens: %q", cut, got.String())
		}
		if cut == len(ids) && got.String() != text {
			t.Errorf("%q wanted, %q found", text, got.String())
		}
	}
}
