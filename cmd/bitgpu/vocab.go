package main

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"bitgpu/io/atomicfile"
	"bitgpu/io/corpus"
	"bitgpu/io/tokenizer"

	"github.com/urfave/cli/v2"
)

// corpusFlags say what the documents are, wherever text is read.
func corpusFlags(document string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "document", Value: document, Usage: "what a document of a text file is: line, block (up to a blank line) or file"},
		&cli.StringFlag{Name: "field", Value: "text", Usage: "the field of a .jsonl record that holds its text"},
	}
}

// vocabFlags are those of a new vocabulary.
func vocabFlags(size int) []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "vocab-size", Value: size, Usage: "tokens of the vocabulary, special tokens and bytes among them"},
		&cli.IntFlag{Name: "min-frequency", Value: 2, Usage: "how often a pair must occur to become a token"},
	}
}

// inputFlag names text files.
func inputFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "input", Required: true, Usage: "text files: .txt or .jsonl, both also .gz; a glob or several flags name more than one"}
}

func vocabCommand() *cli.Command {
	return &cli.Command{
		Name:        "vocab",
		Usage:       "make a tokenizer (byte-level BPE, Hugging Face's format) from text",
		Description: example("", "bitgpu vocab --input 'texts/*.txt' -o tokenizer.json"),
		Flags: append(append([]cli.Flag{inputFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "tokenizer.json", Usage: "the tokenizer's file"},
		}, vocabFlags(32000)...), corpusFlags(string(corpus.Line))...),
		Action: func(c *cli.Context) error {
			docs, err := openDocuments(c, c.StringSlice("input"))
			if err != nil {
				return err
			}
			file, size, err := makeVocab(docs, c.Int("vocab-size"), c.Int("min-frequency"))
			if err != nil {
				return err
			}
			if err := writeFile(c.String("output"), file); err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%s: %d tokens\n", c.String("output"), size)
			return nil
		},
	}
}

// openDocuments reads inputs as --document and --field say.
func openDocuments(c *cli.Context, inputs []string) (iter.Seq2[corpus.Document, error], error) {
	mode, err := corpus.ParseMode(c.String("document"))
	if err != nil {
		return nil, usagef("--document: line, block or file wanted, %q found", c.String("document"))
	}
	return corpus.Documents(inputs, mode, c.String("field")), nil
}

var errNoDocuments = errors.New("the input holds no text")

// makeVocab gives a tokenizer.json and the number of its tokens, which is less than size where
// the text has not so many pairs.
func makeVocab(docs iter.Seq2[corpus.Document, error], size, minFrequency int) ([]byte, int, error) {
	empty := true
	texts := func(yield func(string, error) bool) {
		for doc, err := range docs {
			empty = empty && err != nil
			if !yield(doc.Text, err) {
				return
			}
		}
	}
	file, err := tokenizer.Train(texts, tokenizer.TrainOptions{VocabSize: size, MinFrequency: minFrequency})
	if err != nil {
		return nil, 0, err
	}
	if empty {
		return nil, 0, errNoDocuments
	}
	tok, err := tokenizer.Parse("tokenizer.json", file)
	if err != nil {
		return nil, 0, err
	}
	return file, tok.Size(), nil
}

func writeFile(path string, data []byte) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
