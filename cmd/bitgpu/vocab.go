package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/tokenizer"

	"github.com/urfave/cli/v2"
)

// corpusFlagNames are the names of corpusFlags.
var corpusFlagNames = []string{"document", "field", "allow-invalid-utf8"}

// corpusFlags say what a document is. They mean the same wherever text is read, so that a vocabulary, a training and its
// measurement see the same documents.
func corpusFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "document", Value: string(corpus.Block), Usage: "`line|block|file`: what one document of a text file is; a block ends at an empty line"},
		&cli.StringFlag{Name: "field", Value: "text", Usage: "`NAME` of the field of a .jsonl record that holds its text"},
		&cli.BoolFlag{Name: "allow-invalid-utf8", Usage: "take text of which more than 1 % is not UTF-8; each run of such bytes is read as U+FFFD"},
	}
}

// vocabFlags are the flags for a new vocabulary.
func vocabFlags(size int) []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "vocab-size", Value: size, Usage: "make at most `N` tokens, special tokens and bytes among them"},
		&cli.IntFlag{Name: "min-frequency", Value: 2, Usage: "make a token only of a pair that occurs `N` times"},
	}
}

// inputFlag names text files.
func inputFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "input", Required: true, Usage: "text `FILE|GLOB`, .txt or .jsonl, both also .gz; may be given several times"}
}

func vocabCommand() *cli.Command {
	return &cli.Command{
		Name:        "vocab",
		UsageText:   "bitgpu vocab --input FILE [-o FILE] [flags]",
		Usage:       "make a tokenizer (byte-level BPE, Hugging Face's format) from text",
		Description: example("", "bitgpu vocab --input 'texts/*.txt' -o tokenizer.json"),
		Flags: slices.Concat(
			group("Data", append([]cli.Flag{inputFlag()}, corpusFlags()...)...),
			group("Vocabulary", vocabFlags(32000)...),
			group("Output",
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "tokenizer.json", Usage: "`FILE` for the tokenizer"}),
			group("Compute", threadsFlag()),
		),
		Action: func(c *cli.Context) error {
			ctx, stop := interruptible(c.Context)
			defer stop()
			wanted := vocabularyOf(c)
			if err := wanted.check("vocab"); err != nil {
				return err
			}
			if err := atomicfile.Check(c.String("output")); err != nil {
				return flagError("output", err)
			}
			docs, err := readingOf(c).documents(ctx, "input", c.StringSlice("input"))
			if err != nil {
				return err
			}
			file, size, err := dataset.Vocabulary(ctx, docs, wanted.size, wanted.minFrequency)
			if err != nil {
				return err
			}
			if err := writeFile(c.String("output"), file); err != nil {
				return flagError("output", err)
			}
			fmt.Fprintf(c.App.Writer, "%s: %d tokens\n", c.String("output"), size)
			return nil
		},
	}
}

// vocabulary is what vocabFlags ask for.
type vocabulary struct{ size, minFrequency int }

func vocabularyOf(c *cli.Context) vocabulary {
	return vocabulary{c.Int("vocab-size"), c.Int("min-frequency")}
}

// check refuses impossible values, for a command.
func (v vocabulary) check(command string) error {
	if v.size < tokenizer.LeastVocab {
		return usagef("%s: --vocab-size: got %d, want %d or more, room for 256 bytes and 2 special tokens", command, v.size, tokenizer.LeastVocab)
	}
	if v.minFrequency < 0 {
		return usagef("%s: --min-frequency: got %d, want 0 or more", command, v.minFrequency)
	}
	return nil
}

// textReading says how to read text.
type textReading struct {
	document     string // what a document is
	field        string
	allowInvalid bool
	chat         bool // every record is a conversation
	log          io.Writer
}

// readingOf reads corpusFlags, and --chat if the command has it.
func readingOf(c *cli.Context) textReading {
	return textReading{c.String("document"), c.String("field"), c.Bool("allow-invalid-utf8"), c.Bool("chat"), c.App.ErrWriter}
}

// documents reads the inputs of a flag. It is an error if there is no text at all, or if the context is cancelled. Each file
// that is not entirely UTF-8 is mentioned once.
func (r textReading) documents(ctx context.Context, flag string, inputs []string) (iter.Seq2[corpus.Document, error], error) {
	mode, err := corpus.ParseMode(r.document)
	if err != nil {
		return nil, usagef("--document: got %q, want line, block or file", r.document)
	}
	said := map[string]bool{}
	o := corpus.Options{Mode: mode, Field: r.field, AllowInvalid: r.allowInvalid, Records: r.chat}
	o.Invalid = func(path string, invalid, bytes int64) {
		if !said[path] {
			fmt.Fprintf(r.log, "%s: %d of %d bytes (%.2g %%) are not UTF-8 and are read as U+FFFD\n",
				path, invalid, bytes, 100*float64(invalid)/float64(bytes))
		}
		said[path] = true
	}
	return func(yield func(corpus.Document, error) bool) {
		empty := true
		for doc, err := range corpus.Documents(inputs, o) {
			if errors.Is(err, corpus.ErrNotUTF8) {
				err = fmt.Errorf("%w, or --allow-invalid-utf8", err)
			}
			if err != nil {
				err = flagError(flag, err)
			} else {
				err = interrupted(ctx)
			}
			empty = false
			if !yield(doc, err) || err != nil {
				return
			}
		}
		if empty {
			yield(corpus.Document{}, flagError(flag, fmt.Errorf("%s: there is no text in it", strings.Join(inputs, ", "))))
		}
	}, nil
}

func writeFile(path string, data []byte) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
