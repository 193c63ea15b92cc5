package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"bitgpu/internal/units"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/modeldir"
	"bitgpu/io/regular"

	"github.com/urfave/cli/v2"
)

func valRatioFlag() cli.Flag {
	return &cli.Float64Flag{Name: "val-ratio", Value: 0.01, Usage: "keep the share `R` of the documents for validation, chosen by a hash of each; 0 to below 1"}
}

func dataCommand() *cli.Command {
	return &cli.Command{
		Name:        "data",
		UsageText:   "bitgpu data --input FILE --tokenizer FILE --output-dir DIR [flags]",
		Usage:       "turn text into token files for training and validation",
		Description: example("", "bitgpu data --input book.txt --tokenizer tokenizer.json --output-dir tokens"),
		Flags: slices.Concat(
			group("Data", append([]cli.Flag{inputFlag(),
				&cli.StringFlag{Name: "tokenizer", Required: true, Usage: "`FILE` of the tokenizer, tokenizer.json"},
				valRatioFlag(),
				&cli.StringSliceFlag{Name: "val-input", Usage: "text `FILE|GLOB` for validation, in place of a share of --input; may be given several times"},
				&cli.BoolFlag{Name: "chat", Usage: "the text is conversations, lines of JSON in OpenAI's or ShareGPT's shape; a training counts the answers only"},
				&cli.StringFlag{Name: "template", Usage: "with --chat, render by the Jinja template in `FILE`; without it, by that of the files beside --tokenizer"},
				&cli.Float64Flag{Name: "bpe-dropout", Usage: "leave out the share `P` of the merges of the text for training, so that a model learns more than one way to cut a word; 0.1 is usual"},
				&cli.IntFlag{Name: "copies", Value: 1, Usage: "with --bpe-dropout, write the text for training `N` times, each time in other tokens"},
			}, corpusFlags()...)...),
			group("Output",
				&cli.StringFlag{Name: "output-dir", Required: true, Usage: "`DIR` for train.u32, val.u32, tokenizer.json and meta.json"}),
			group("Compute", threadsFlag()),
		),
		Action: func(c *cli.Context) error {
			ctx, stop := interruptible(c.Context)
			defer stop()
			called, text := callOf(c), readingOf(c)
			from := dataset.Source{
				Mode: corpus.Mode(text.document), Ratio: c.Float64("val-ratio"), Dropout: c.Float64("bpe-dropout"), Copies: c.Int("copies"),
			}
			if err := checkRatio("data", from.Ratio); err != nil {
				return err
			}
			if !(from.Dropout >= 0 && from.Dropout < 1) {
				return usagef("data: --bpe-dropout: got %v, want 0 to below 1", from.Dropout)
			}
			if from.Copies < 1 || from.Copies > 1000 {
				return usagef("data: --copies: got %d, want 1 to 1000", from.Copies)
			}
			if from.Dropout == 0 {
				if err := refuseIdle(called, "it is for --bpe-dropout", "copies"); err != nil {
					return err
				}
			}
			var err error
			if text.chat {
				if err := refuseIdle(called, "--chat takes whole records", "field", "document", "bpe-dropout"); err != nil {
					return err
				}
				if from.Template, err = dataTemplate(c.String("template"), c.String("tokenizer")); err != nil {
					return err
				}
			} else if err := refuseIdle(called, "it is for --chat", "template"); err != nil {
				return err
			}
			if from.Docs, err = text.documents(ctx, "input", c.StringSlice("input")); err != nil {
				return err
			}
			if c.IsSet("val-input") {
				if c.IsSet("val-ratio") {
					return usagef("data: --val-ratio: --val-input is the validation text, so no share of --input is")
				}
				from.Ratio = 0
				if from.Val, err = text.documents(ctx, "val-input", c.StringSlice("val-input")); err != nil {
					return err
				}
			}
			file, err := readFlag("tokenizer", c.String("tokenizer"))
			if err != nil {
				return err
			}
			if err := split(called, &from, false); err != nil {
				return err
			}
			dir := c.String("output-dir")
			if err := spareModel(dir, file); err != nil {
				return err
			}
			meta, err := dataset.Write(ctx, dir, c.String("tokenizer"), file, from)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%s: %s for training, %s for validation\n", dir, describePart(meta.Train), describePart(meta.Val))
			return nil
		},
	}
}

// spareModel refuses to replace the tokenizer in a model's directory by another, with which the weights would mean nothing.
func spareModel(dir string, tokenizer []byte) error {
	own, err := regular.ReadFile(filepath.Join(dir, modeldir.TokenizerName))
	if err != nil || !exists(filepath.Join(dir, modeldir.ConfigName)) || dataset.SameTokenizer(own, tokenizer) {
		return nil
	}
	return fmt.Errorf("--output-dir: %s: got the directory of a model, whose tokenizer is another, want one of its own for the tokens", dir)
}

func describePart(p corpus.Part) string {
	if p.MaskCRC32C != "" {
		return fmt.Sprintf("%s of %s, %d of them answers", units.Count(p.Tokens, "token"), units.Count(p.Documents, "conversation"), p.Answers)
	}
	return fmt.Sprintf("%s of %s (%s)", units.Count(p.Tokens, "token"), units.Count(p.Documents, "document"), units.Count(p.Bytes, "byte"))
}

// checkRatio refuses a number that is not a share, or leaves nothing to train on.
func checkRatio(command string, ratio float64) error {
	if !(ratio >= 0 && ratio < 1) {
		return usagef("%s: --val-ratio: got %v, want 0 to below 1", command, ratio)
	}
	return nil
}

// split splits a source by its share for validation, and says what helps if one part is empty. No validation is an error if a
// share was asked for, or if validates says that it is needed.
func split(c *call, from *dataset.Source, validates bool) error {
	err := from.Split()
	var none *dataset.SplitError
	switch {
	case !errors.As(err, &none):
		return err
	case none.All:
		return usagef("%s: --val-ratio: %w; a smaller one, or `bitgpu data --val-input`, does", c.command, err)
	case c.given("val-ratio") || validates:
		return usagef("%s: --val-ratio: %w; a larger one, or `bitgpu data --val-input`, does", c.command, err)
	}
	fmt.Fprintf(c.log, "--val-ratio: %v: there will be no validation\n", err)
	return nil
}
