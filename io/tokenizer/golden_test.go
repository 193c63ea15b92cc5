package tokenizer

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// golden is a small tokenizer with what Hugging Face's library, version 0.23.3, makes of texts and ids. golden.py wrote
// them.
type golden struct {
	Name      string          `json:"name"`
	Tokenizer json.RawMessage `json:"tokenizer"`
	Cases     []tokenizerCase `json:"cases"`
	Decodes   []tokenizerCase `json:"decodes"` // of ids alone
}

func goldens(tb testing.TB) []golden {
	tb.Helper()
	f, err := os.Open("testdata/golden.jsonl.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	return decodeLines[golden](tb, z)
}

// TestGolden holds every component, with every option, against Hugging Face's library.
func TestGolden(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(strings.ReplaceAll(g.Name, "/", "∕"), func(t *testing.T) {
			tok, err := Parse("golden", g.Tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range g.Cases {
				c.check(t, tok)
			}
			for _, c := range g.Decodes {
				if got := tok.Decode(c.IDs, false); got != c.Decoded {
					t.Errorf("Decode(%v, false)\n got %q\nwant %q", c.IDs, got, c.Decoded)
				}
				if got := tok.Decode(c.IDs, true); got != c.DecodedSkipSpecial {
					t.Errorf("Decode(%v, true)\n got %q\nwant %q", c.IDs, got, c.DecodedSkipSpecial)
				}
			}
		})
	}
}

// decodeLines decodes one JSON value a line.
func decodeLines[T any](tb testing.TB, r io.Reader) []T {
	tb.Helper()
	var all []T
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var v T
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			tb.Fatal(err)
		}
		all = append(all, v)
	}
	if err := s.Err(); err != nil {
		tb.Fatal(err)
	}
	if len(all) == 0 {
		tb.Fatal("no cases")
	}
	return all
}
