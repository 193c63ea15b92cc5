package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestCutsChangeNothing holds BPE that cuts long words where no merge reaches against BPE that does not.
func TestCutsChangeNothing(t *testing.T) {
	tokenizers := []*Tokenizer{load(t, "gpt2"), load(t, "tinyllama")}
	for _, g := range goldens(t) {
		if strings.HasPrefix(g.Name, "BPE") {
			tok, err := Parse(g.Name, g.Tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			tokenizers = append(tokenizers, tok)
		}
	}
	for _, tok := range tokenizers {
		cutting := tok.model.(*bpe)
		whole := *cutting
		whole.joints = table{}
		w := newWorker()
		rapid.Check(t, func(t *rapid.T) {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(awkward), 10, 60).Draw(t, "text"), "▁")
			got, want := cutting.encode(nil, text, w), whole.encode(nil, text, newWorker())
			if !slices.Equal(got, want) {
				t.Errorf("%q\n got %v\nwant %v", text, got, want)
			}
		})
	}
}

// TestUnknownWithoutToken leaves out what a vocabulary cannot write: Hugging Face's library fails in some of these cases.
func TestUnknownWithoutToken(t *testing.T) {
	for _, model := range []string{
		`{"type": "BPE", "vocab": {"a": 0}, "merges": []}`,
		`{"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "<unk>"}`,
		`{"type": "BPE", "vocab": {"a": 0, "<0x62>": 1}, "merges": [], "byte_fallback": true}`,
		`{"type": "Unigram", "vocab": [["a", -1]]}`,
		`{"type": "Unigram", "vocab": [["a", -1]], "byte_fallback": true}`,
	} {
		tok, err := Parse("unknown", []byte(with("model", model)))
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Encode("éaé日a", false); !slices.Equal(got, []uint32{0, 0}) {
			t.Errorf("%s: ids %v, want [0 0]", model, got)
		}
	}
	empty, err := Parse("empty", []byte(with("model", `{"type": "Unigram", "vocab": []}`)))
	if err != nil {
		t.Fatal(err)
	}
	if got := empty.Encode("abc", true); len(got) != 0 {
		t.Errorf("an empty vocabulary gave %v", got)
	}
}

// TestUnigramScores takes the way of the highest sum.
func TestUnigramScores(t *testing.T) {
	tok, err := Parse("unigram", []byte(with("model", `{"type": "Unigram", "unk_id": 0, "vocab":
		[["<unk>", 0], ["a", -2], ["b", -2], ["ab", -3], ["abc", -9], ["c", -2], ["bc", -1]]}`)))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]uint32{"ab": {3}, "abc": {1, 6}, "xxabyy": {0, 3, 0}, "cab": {5, 3}} {
		if got := tok.Encode(text, false); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
}
