package tokenizer

import (
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// texts is what Train reads.
func texts(all ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, t := range all {
			if !yield(t, nil) {
				return
			}
		}
	}
}

type trainedFile struct {
	Texts        []string `json:"texts"`
	VocabSize    int      `json:"vocab_size"`
	MinFrequency int      `json:"min_frequency"`
	Vocab        map[string]uint32
	Merges       []merge
}

func readTrained(tb testing.TB) trainedFile {
	tb.Helper()
	data, err := os.ReadFile("testdata/trained.json")
	if err != nil {
		tb.Fatal(err)
	}
	var want trainedFile
	if err := json.Unmarshal(data, &want); err != nil {
		tb.Fatal(err)
	}
	return want
}

// TestTrain holds the trainer against Hugging Face's, which learned from the same texts.
func TestTrain(t *testing.T) {
	want := readTrained(t)
	opt := TrainOptions{VocabSize: want.VocabSize, MinFrequency: want.MinFrequency}
	steps, total := 0, 0
	opt.Progress = func(merges, of int) {
		if merges < steps || merges > of {
			t.Fatalf("progress went from %d to %d of %d", steps, merges, of)
		}
		steps, total = merges, of
	}
	data, err := Train(texts(want.Texts...), opt)
	if err != nil {
		t.Fatal(err)
	}
	model := membersOf(membersOf(data, "model")["model"], "vocab", "merges")
	vocab, err := parseVocab(model["vocab"])
	if err != nil || !maps.Equal(vocab, want.Vocab) {
		t.Errorf("vocab differs: %d pieces, %v, want %d", len(vocab), err, len(want.Vocab))
	}
	merges, err := parseMerges(model["merges"])
	if err != nil || !slices.Equal(merges, want.Merges) {
		t.Errorf("merges differ, %v:\n got %q\nwant %q", err, merges, want.Merges)
	}
	if made := len(want.Vocab) - 258; steps != made || total != want.VocabSize-258 {
		t.Errorf("progress ended at %d of %d, want %d of %d", steps, total, made, want.VocabSize-258)
	}
	opt.Progress = nil
	slices.Reverse(want.Texts)
	if again, err := Train(texts(want.Texts...), opt); err != nil || string(again) != string(data) {
		t.Errorf("the same texts in another order gave another file (%v)", err)
	}
}

// TestTrainedTokenizer uses what Train made.
func TestTrainedTokenizer(t *testing.T) {
	data, err := Train(texts("low lower lowest", "new newer newest, wide <|endoftext|>"), TrainOptions{VocabSize: 276})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Parse("trained", data)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Size() != 276 {
		t.Errorf("Size() = %d, want 276", tok.Size())
	}
	if got := tok.EndOfText(); !slices.Equal(got, []uint32{0}) {
		t.Errorf("EndOfText() = %v, want [0]", got)
	}
	for _, text := range []string{"lowest wide", "never seen: 日本語 😀\x00\xff", "a<|endoftext|>b"} {
		ids := encode(t, tok, text, true)
		if got := tok.Decode(ids, false); got != validUTF8(text) {
			t.Errorf("Decode(Encode(%q)) = %q", text, got)
		}
	}
	if ids := encode(t, tok, "<|endoftext|>", false); !slices.Equal(ids, []uint32{0}) {
		t.Errorf("Encode(<|endoftext|>) = %v, want [0]", ids)
	}
	for id := range uint32(tok.Size()) {
		piece, ok := tok.Token(id)
		if back, found := tok.ID(piece); !ok || !found || back != id {
			t.Errorf("Token(%d) = %q, %v, and its ID %d, %v", id, piece, ok, back, found)
		}
		if id >= 2 && strings.Contains(piece, "<|") {
			t.Errorf("%q was learned from a special token", piece)
		}
		if special := id < 2; tok.IsSpecial(id) != special {
			t.Errorf("IsSpecial(%d) = %v", id, !special)
		}
	}
}

func TestTrainRunsOutOfPairs(t *testing.T) {
	data, err := Train(texts("aaaa"), TrainOptions{VocabSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Parse("trained", data)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Size() != 260 { // aa, aaaa
		t.Errorf("Size() = %d, want 260", tok.Size())
	}
	data, err = Train(texts(), TrainOptions{VocabSize: 1000, SpecialTokens: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = Parse("trained", data); err != nil || tok.Size() != 256 {
		t.Errorf("nothing to learn from: %v, %v", tok, err)
	}
}

func TestTrainErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		texts iter.Seq2[string, error]
		opt   TrainOptions
		want  string
	}{
		"too small":    {texts("a"), TrainOptions{VocabSize: 257}, "vocabulary size is 257, want at least 258"},
		"twice":        {texts("a"), TrainOptions{VocabSize: 300, SpecialTokens: []string{"x", "x"}}, "special tokens"},
		"a byte":       {texts("a"), TrainOptions{VocabSize: 300, SpecialTokens: []string{"x", "!"}}, "special tokens"},
		"empty":        {texts("a"), TrainOptions{VocabSize: 300, SpecialTokens: []string{""}}, "special tokens"},
		"broken texts": {func(yield func(string, error) bool) { yield("", broken) }, TrainOptions{VocabSize: 300}, "broken"},
	} {
		if _, err := Train(c.texts, c.opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	text := english(5 << 20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Train(texts(text), TrainOptions{VocabSize: 8000, MinFrequency: 2}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTrainStops: the wish to stop is heard between merges, and its reason comes back.
func TestTrainStops(t *testing.T) {
	reason := errors.New("enough")
	asked := 0
	_, err := Train(texts("abc abd abe abc"), TrainOptions{VocabSize: 300, Stop: func() error {
		if asked++; asked == 3 {
			return reason
		}
		return nil
	}})
	if err != reason || asked != 3 {
		t.Errorf("got %v after %d, want %v after 3 questions", err, asked, reason)
	}
	if _, err := Train(texts("abc"), TrainOptions{VocabSize: LeastVocab}); err != nil {
		t.Error(err)
	}
	if _, err := Train(texts("abc"), TrainOptions{VocabSize: LeastVocab - 1}); err == nil {
		t.Error("a vocabulary below the least: want an error")
	}
}
