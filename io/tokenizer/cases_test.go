package tokenizer

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

var families = []string{"gpt2", "llama3like", "tinyllama"}

// tokenizerCase is a text with what Hugging Face's library makes of it.
type tokenizerCase struct {
	Text               string   `json:"text"`
	IDs                []uint32 `json:"ids"`
	IDsSpecial         []uint32 `json:"ids_special"`
	Decoded            string   `json:"decoded"`
	DecodedSkipSpecial string   `json:"decoded_skip_special"`
}

var loaded sync.Map // from family to *Tokenizer

// load parses the tokenizer.json of a family, once for all tests.
func load(tb testing.TB, family string) *Tokenizer {
	tb.Helper()
	if tok, ok := loaded.Load(family); ok {
		return tok.(*Tokenizer)
	}
	tok, err := Parse(family, fileOf(tb, family))
	if err != nil {
		tb.Fatal(err)
	}
	loaded.Store(family, tok)
	return tok
}

// encode is Encode of a text that must not fail.
func encode(t interface{ Fatal(...any) }, tok *Tokenizer, text string, addSpecial bool) []uint32 {
	ids, err := tok.Encode(text, addSpecial)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// steady is a worker whose steps do not run out.
func steady() *worker {
	w := newWorker()
	w.begin(1 << 30)
	return w
}

func fileOf(tb testing.TB, family string) []byte {
	tb.Helper()
	f, err := os.Open(filepath.Join("testdata", family, "tokenizer.json.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// lines decodes a file of one JSON value a line.
func lines[T any](tb testing.TB, elem ...string) []T {
	tb.Helper()
	f, err := os.Open(filepath.Join(append([]string{"testdata"}, elem...)...))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	return decodeLines[T](tb, f)
}

func (c *tokenizerCase) check(t *testing.T, tok *Tokenizer) {
	t.Helper()
	if got := encode(t, tok, c.Text, false); !slices.Equal(got, c.IDs) {
		t.Errorf("Encode(%.200q, false)\n got %v\nwant %v", c.Text, got, c.IDs)
	}
	if got := encode(t, tok, c.Text, true); !slices.Equal(got, c.IDsSpecial) {
		t.Errorf("Encode(%.200q, true)\n got %v\nwant %v", c.Text, got, c.IDsSpecial)
	}
	if got := tok.Decode(c.IDs, false); got != c.Decoded {
		t.Errorf("Decode(%v, false)\n got %.200q\nwant %.200q", c.IDs, got, c.Decoded)
	}
	if got := tok.Decode(c.IDsSpecial, true); got != c.DecodedSkipSpecial {
		t.Errorf("Decode(%v, true)\n got %.200q\nwant %.200q", c.IDsSpecial, got, c.DecodedSkipSpecial)
	}
}

// TestFamilies holds the tokenizers of three families against Hugging Face's library, version 0.23.2.
func TestFamilies(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			tok := load(t, family)
			for _, c := range lines[tokenizerCase](t, family, "cases.jsonl") {
				c.check(t, tok)
			}
		})
	}
}

// A token that reaches over a break is text; around it nothing changes.
func TestEncodeBroken(t *testing.T) {
	tok, err := Parse("t", []byte(`{"added_tokens": [
		{"id": 5, "content": "<e>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
		{"id": 6, "content": "<n>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": true}],
		"model": {"type": "BPE", "vocab": {"<": 0, "e": 1, ">": 2, "n": 3, "e>": 4, "<e>": 5, "<n>": 6}, "merges": [["e", ">"]]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text   string
		breaks []int
		want   []uint32
	}{
		{"<e>e<e>", nil, []uint32{5, 1, 5}},
		{"<e>e<e>", []int{1}, []uint32{0, 4, 1, 5}},
		{"<e>e<e>", []int{3, 5}, []uint32{5, 1, 0, 4}},
		{"<n><n>", []int{4}, []uint32{6, 0, 3, 2}},
		{"", []int{4}, nil},
	} {
		if got, err := tok.EncodeBroken(c.text, c.breaks); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q broken at %v: got %v (%v), want %v", c.text, c.breaks, got, err, c.want)
		}
	}
}
