package dataset

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/io/tokenizer"
)

// Tokens are those of the documents one after another, an end before each, whatever pieces they are collected in.
func TestTokens(t *testing.T) {
	file, err := os.ReadFile("../../testdata/reference/d32-none/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse("tokenizer.json", file)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"the ship", strings.Repeat("the sea, ", 150_000), "", "the end"}
	var want []uint32
	bytes := int64(0)
	for _, text := range texts {
		ids, err := tok.NewEncoder().EncodeDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		want = append(append(want, tok.EndOfText()[0]), ids...)
		bytes += int64(len(text))
	}
	ids, n, err := Tokens(t.Context(), tok, docsOf(true, texts...), int64(8*len(want)))
	if err != nil || n != bytes || !slices.Equal(ids, want) {
		t.Errorf("got %d tokens of %d bytes, %v, want %d of %d", len(ids), n, err, len(want), bytes)
	}
	read := 0
	endless := func(yield func(corpus.Document, error) bool) {
		for yield(corpus.Document{Text: texts[1], Path: "endless.txt"}, nil) {
			read += len(texts[1])
		}
	}
	if _, _, err := Tokens(t.Context(), tok, endless, 1<<20); !errors.Is(err, ErrRoom) || read > 8<<20 {
		t.Errorf("got %v after %d bytes, want an error soon after 1 MB", err, read)
	}
}
