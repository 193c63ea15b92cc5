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
			w.begin(len(text))
			fresh := steady()
			got, want := cutting.encode(nil, text, w), whole.encode(nil, text, fresh)
			if (w.err == nil) != (fresh.err == nil) {
				t.Errorf("%q\n got the error %v\nwant %v", text, w.err, fresh.err)
			}
			if fresh.err != nil {
				return
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q\n got %v\nwant %v", text, got, want)
			}
		})
	}
}

// TestUnknownWithoutToken: what a vocabulary cannot write is an error that names the character wherever Hugging Face's
// library 0.23.3 fails; where it leaves the character out, it is one for a document.
func TestUnknownWithoutToken(t *testing.T) {
	for _, c := range []struct {
		model, text string
		want        string // error of Encode
		document    string // error of EncodeDocument, if Encode has none
	}{
		{`{"type": "BPE", "vocab": {"a": 0}, "merges": []}`, "aéa日", "", "'é' (U+00E9), and no unknown token"},
		{`{"type": "BPE", "vocab": {"a": 0}, "merges": []}`, "aa", "", ""},
		{`{"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "<unk>"}`, "a日éa", `'日' (U+65E5), and the unknown token "<unk>"`, ""},
		{`{"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "<unk>"}`, "aa", "", ""},
		{`{"type": "BPE", "vocab": {"a": 0, "<0x62>": 1}, "merges": [], "byte_fallback": true}`, "aéa", "", "'é' (U+00E9)"},
		{`{"type": "Unigram", "vocab": [["a", -1]]}`, "aéa", "'é' (U+00E9), and unk_id is not set", ""},
		{`{"type": "Unigram", "vocab": [["a", -1]], "unk_id": null}`, "aa", "", ""},
		{`{"type": "Unigram", "vocab": [["a", -1]], "byte_fallback": true}`, "a\xff", "'�' (U+FFFD), and unk_id", ""},
		{`{"type": "Unigram", "vocab": []}`, "abc", "'a' (U+0061)", ""},
	} {
		tok, err := Parse("unknown", []byte(with("model", c.model)))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // again, with what was remembered
			ids, err := tok.Encode(c.text, true)
			if got := errorText(err); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("%s: Encode(%q) gave %v, %v, want the error %q", c.model, c.text, ids, err, c.want)
			}
			if c.want == "" && !slices.Equal(ids, []uint32{0, 0}) {
				t.Errorf("%s: Encode(%q) = %v, want [0 0]", c.model, c.text, ids)
			}
			_, err = tok.NewEncoder().EncodeDocument(c.text)
			want := c.want + c.document
			if got := errorText(err); !strings.Contains(got, want) || (got == "") != (want == "") {
				t.Errorf("%s: EncodeDocument(%q) gave the error %v, want %q", c.model, c.text, err, want)
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestUnigramScores takes the way of the highest sum.
func TestUnigramScores(t *testing.T) {
	tok, err := Parse("unigram", []byte(with("model", `{"type": "Unigram", "unk_id": 0, "vocab":
		[["<unk>", 0], ["a", -2], ["b", -2], ["ab", -3], ["abc", -9], ["c", -2], ["bc", -1]]}`)))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]uint32{"ab": {3}, "abc": {1, 6}, "xxabyy": {0, 3, 0}, "cab": {5, 3}} {
		if got := encode(t, tok, text, false); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
}
