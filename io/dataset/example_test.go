package dataset_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
)

// Text becomes a vocabulary, and tokens of it for training and validation.
func Example() {
	dir, err := os.MkdirTemp("", "bitgpu")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	book := filepath.Join(dir, "book.txt")
	if err := os.WriteFile(book, []byte(strings.Repeat("the cat sat on the mat\n", 100)), 0o644); err != nil {
		log.Fatal(err)
	}
	docs := corpus.Documents([]string{book}, corpus.Options{Mode: corpus.Block})

	ctx := context.Background()
	vocabulary, tokens, err := dataset.Vocabulary(ctx, docs, 270, 2)
	if err != nil {
		log.Fatal(err)
	}
	source := dataset.Source{Docs: docs, Mode: corpus.Block, Ratio: 0.1}
	if err := source.Split(); err != nil {
		log.Fatal(err)
	}
	meta, err := dataset.Write(ctx, filepath.Join(dir, "tokens"), "tokenizer.json", vocabulary, source)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tokens, "tokens in the vocabulary")
	fmt.Println(meta.Train.Bytes, "bytes for training,", meta.Val.Bytes, "for validation")
	// Output:
	// 270 tokens in the vocabulary
	// 2093 bytes for training, 207 for validation
}
