package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestStepsOfManyTexts: a pattern that is just quick enough for a text is an error that names it where there are many such, the
// same whatever the order; it is none for as many that are quick.
func TestStepsOfManyTexts(t *testing.T) {
	tok, err := Parse("slow.json", []byte(with("pre_tokenizer", `{"type": "Split", "pattern": {"Regex": "(a+)+c"}, "behavior": "Isolated", "invert": false}`)))
	if err != nil {
		t.Fatal(err)
	}
	const texts = 40
	encode := func(text string, goroutines int) error {
		e := tok.NewEncoder()
		e.Expect(texts * len(text))
		errs := make([]error, texts)
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				for i := g; i < texts; i += goroutines {
					_, errs[i] = e.Encode(text, false)
				}
			})
		}
		all.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		return nil
	}
	slow, quick := strings.Repeat("a", 13), strings.Repeat("a", 7)
	if _, err := tok.Encode(slow, false); err != nil {
		t.Fatalf("one text: %v", err)
	}
	want := fmt.Sprintf(`tokenizer: slow.json: regex "(a+)+c" goes back and forth too often: it takes more than %d steps and %d for each of the %d bytes of all texts so far`,
		stepsPerText, stepsPerByte, texts*len(slow))
	for _, goroutines := range []int{1, 2, 7} {
		if got := errorText(encode(slow, goroutines)); got != want {
			t.Errorf("%d goroutines: got %q, want %q", goroutines, got, want)
		}
		if err := encode(quick, goroutines); err != nil {
			t.Errorf("%d goroutines, quick texts: %v", goroutines, err)
		}
	}
}

// TestStepsOfAVocabulary: so with a decoder's pattern, which every piece of the vocabulary is tried with, and with the tokens of a
// text, in a copy of its stream as well.
func TestStepsOfAVocabulary(t *testing.T) {
	file := func(pieces int) []byte {
		var vocab []string
		for i := range pieces {
			vocab = append(vocab, fmt.Sprintf(`"%s%c": %d`, strings.Repeat("a", 13), rune('一'+i), i))
		}
		return []byte(`{"model": {"type": "BPE", "vocab": {` + strings.Join(vocab, ", ") + `}, "merges": []},
			"decoder": {"type": "Replace", "pattern": {"Regex": "(a+)+c"}, "content": ""}}`)
	}
	if _, err := Parse("slow.json", file(60)); !strings.Contains(errorText(err), `regex "(a+)+c" goes back and forth too often`) {
		t.Errorf("60 pieces: got %v, want an error that names the pattern", err)
	}
	tok, err := Parse("slow.json", file(1))
	if err != nil {
		t.Fatal(err)
	}
	s := tok.NewStream(false)
	for range 2 {
		s.Next(0)
	}
	c := s.Clone()
	for range 40 {
		c.Next(0)
	}
	if s.Err() != nil || !strings.Contains(errorText(c.Err()), "of all texts so far") {
		t.Errorf("a stream of 2 tokens gave %v, a copy of it after 42 %v, want an error of the second", s.Err(), c.Err())
	}
}

// TestDropout: merges that are left out change how a text is cut, never the text; seed and text decide how.
func TestDropout(t *testing.T) {
	tok := load(t, "gpt2")
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody knows why. ", 20)
	dropped := func(share float64, seed uint64) []uint32 {
		e := tok.NewEncoder()
		e.Expect(len(text))
		if err := e.Dropout(share, seed); err != nil {
			t.Fatal(err)
		}
		ids, err := e.EncodeDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Decode(ids, false); got != text {
			t.Fatalf("share %v, seed %d: got %q, want %q", share, seed, got, text)
		}
		return ids
	}
	plain := encode(t, tok, text, false)
	if got := dropped(0, 1); !slices.Equal(got, plain) {
		t.Errorf("without dropout: got %v, want %v", got, plain)
	}
	first := dropped(0.1, 1)
	if again := dropped(0.1, 1); !slices.Equal(first, again) {
		t.Error("one seed gave two results")
	}
	if other := dropped(0.1, 2); slices.Equal(first, other) {
		t.Error("two seeds gave one result")
	}
	if again := encode(t, tok, text, false); !slices.Equal(again, plain) {
		t.Error("the tokenizer itself leaves merges out afterwards")
	}
	more := dropped(0.9, 1)
	if !(len(plain) < len(first) && len(first) < len(more) && len(more) <= len(text)) {
		t.Errorf("got %d, %d and %d tokens with shares 0, 0.1 and 0.9, want ever more", len(plain), len(first), len(more))
	}
	if err := load(t, "tinyllama").NewEncoder().Dropout(1, 1); err == nil || !strings.Contains(err.Error(), "got dropout 1, want 0 to below 1") {
		t.Errorf("got %v", err)
	}
}
