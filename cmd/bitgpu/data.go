package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"bitgpu/io/chat"
	"bitgpu/io/corpus"
	"bitgpu/io/lesson"
	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
	"bitgpu/io/tokenizer"

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
			}, corpusFlags()...)...),
			group("Output",
				&cli.StringFlag{Name: "output-dir", Required: true, Usage: "`DIR` for train.u32, val.u32, tokenizer.json and meta.json"}),
			group("Compute", threadsFlag()),
		),
		Action: func(c *cli.Context) error {
			ctx, stop := interruptible(c)
			defer stop()
			if err := checkRatio(c); err != nil {
				return err
			}
			from := source{mode: corpus.Mode(c.String("document")), ratio: c.Float64("val-ratio")}
			var err error
			if c.Bool("chat") {
				if err := refuseIdle(c, "--chat takes whole records", "field", "document"); err != nil {
					return err
				}
				if from.template, err = dataTemplate(c); err != nil {
					return err
				}
			} else if err := refuseIdle(c, "it is for --chat", "template"); err != nil {
				return err
			}
			if from.docs, err = openDocuments(ctx, c, "input", c.StringSlice("input")); err != nil {
				return err
			}
			if c.IsSet("val-input") {
				if c.IsSet("val-ratio") {
					return usagef("data: --val-ratio: --val-input is the validation text, so no share of --input is")
				}
				from.ratio = 0
				if from.val, err = openDocuments(ctx, c, "val-input", c.StringSlice("val-input")); err != nil {
					return err
				}
			}
			file, err := readFlag(c, "tokenizer")
			if err != nil {
				return err
			}
			if err := from.split(c); err != nil {
				return err
			}
			dir := c.String("output-dir")
			if err := spareModel(dir, file); err != nil {
				return err
			}
			meta, err := makeData(ctx, dir, c.String("tokenizer"), file, from)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%s: %s for training, %s for validation\n", dir, describePart(meta.Train), describePart(meta.Val))
			return nil
		},
	}
}

// spareModel refuses a model's directory whose tokenizer would be exchanged for another: the weights would mean nothing then.
func spareModel(dir string, tokenizer []byte) error {
	own, err := regular.ReadFile(filepath.Join(dir, modeldir.TokenizerName))
	if err != nil || !exists(filepath.Join(dir, modeldir.ConfigName)) || sameJSON(own, tokenizer) {
		return nil
	}
	return fmt.Errorf("--output-dir: %s: got the directory of a model, whose tokenizer is another, want one of its own for the tokens", dir)
}

func describePart(p corpus.Part) string {
	if p.MaskCRC32C != "" {
		return fmt.Sprintf("%d tokens of %d conversations, %d of them answers", p.Tokens, p.Documents, p.Answers)
	}
	return fmt.Sprintf("%d tokens of %d documents (%d bytes)", p.Tokens, p.Documents, p.Bytes)
}

// checkRatio refuses a share that is none, or leaves nothing to train on.
func checkRatio(c *cli.Context) error {
	if ratio := c.Float64("val-ratio"); !(ratio >= 0 && ratio < 1) {
		return usagef("%s: --val-ratio: from 0 to below 1 wanted, %v found", c.Command.Name, ratio)
	}
	return nil
}

// source is the text of a data directory.
type source struct {
	docs     iter.Seq2[corpus.Document, error]
	val      iter.Seq2[corpus.Document, error] // wholly for validation; nil if there is none
	mode     corpus.Mode
	template *chat.Template         // documents are conversations, which it renders; nil for text
	ratio    float64                // of docs, for validation
	inVal    func(text string) bool // of docs, asked in their order; nil for the share that their hashes give
}

// makeData writes a data directory as a whole. Whatever fails leaves what was there.
func makeData(ctx context.Context, dir, name string, file []byte, from source) (corpus.Meta, error) {
	var meta corpus.Meta
	tok, err := tokenizer.Parse(name, file)
	if err != nil {
		return meta, err
	}
	ends := tok.EndOfText()
	if len(ends) == 0 {
		return meta, fmt.Errorf("%s: no token that ends a text, such as <|endoftext|>, to put between documents", name)
	}
	meta = corpus.Meta{
		VocabSize: tok.Size(), EndOfText: ends[0], Tokenizer: corpus.TokenizerHash(file), Document: from.mode, ValRatio: from.ratio,
	}
	out, err := corpus.CreateDir(dir)
	if err != nil {
		return meta, err
	}
	defer out.Discard()
	w := &partWriter{tok: tok, meta: &meta, train: out.Train, val: out.Val}
	if from.template != nil {
		w.teacher = lesson.NewTeacher(tok, from.template)
		out.TrainMarks, out.ValMarks = []byte{}, []byte{}
		w.trainMarks, w.valMarks = &out.TrainMarks, &out.ValMarks
	}
	if from.inVal == nil {
		from.inVal = func(text string) bool { return corpus.InValidation(text, from.ratio) }
	}
	if err := w.write(ctx, from.docs, from.inVal); err != nil {
		return meta, err
	}
	if from.val != nil {
		if err := w.write(ctx, from.val, func(string) bool { return true }); err != nil {
			return meta, err
		}
	}
	if err := out.Commit(meta, modeldir.TokenizerName, file); err != nil {
		return meta, err
	}
	return corpus.ReadMeta(filepath.Join(dir, corpus.MetaName))
}

// partWriter writes both token files and counts what is in them.
type partWriter struct {
	tok        *tokenizer.Tokenizer
	meta       *corpus.Meta
	train, val *corpus.TokenWriter

	teacher              *lesson.Teacher // of conversations, nil for text
	trainMarks, valMarks *[]byte
}

// write encodes documents and appends each to the part that it belongs to.
func (w *partWriter) write(ctx context.Context, docs iter.Seq2[corpus.Document, error], inVal func(text string) bool) error {
	if w.teacher != nil {
		return encodeChats(w.teacher, docs, func(text string, d lesson.Document) error {
			file, marks, part := w.train, w.trainMarks, &w.meta.Train
			if inVal(text) {
				file, marks, part = w.val, w.valMarks, &w.meta.Val
			}
			*marks = append(*marks, d.Marks...)
			part.Documents++
			part.Tokens += int64(len(d.IDs))
			part.Answers += int64(bytes.Count(d.Marks, []byte{corpus.Counts}))
			return file.Append(d.IDs...)
		})
	}
	return encodeDocuments(ctx, w.tok, docs, func(text string, ids []uint32) error {
		file, part := w.train, &w.meta.Train
		if inVal(text) {
			file, part = w.val, &w.meta.Val
		}
		if err := file.Append(append(ids, w.meta.EndOfText)...); err != nil {
			return err
		}
		part.Documents++
		part.Tokens += int64(len(ids)) + 1
		part.Bytes += int64(len(text))
		return nil
	})
}

// encodeDocuments encodes documents, a megabyte of text at once, and hands them on in their order.
func encodeDocuments(ctx context.Context, tok *tokenizer.Tokenizer, docs iter.Seq2[corpus.Document, error], use func(text string, ids []uint32) error) error {
	const together = 1 << 20 // bytes of text
	var pending []corpus.Document
	size := 0
	flush := func() error {
		all, err := encode(ctx, tok, pending)
		if err != nil {
			return err
		}
		for i, ids := range all {
			if err := use(pending[i].Text, ids); err != nil {
				return err
			}
		}
		clear(pending)
		pending, size = pending[:0], 0
		return nil
	}
	for doc, err := range docs {
		if err != nil {
			return err
		}
		pending = append(pending, doc)
		if size += len(doc.Text); size >= together {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// encode turns documents into tokens on all cores.
func encode(ctx context.Context, tok *tokenizer.Tokenizer, docs []corpus.Document) ([][]uint32, error) {
	return await(ctx, func() ([][]uint32, error) {
		ids, errs := make([][]uint32, len(docs)), make([]error, len(docs))
		const each = 64
		var all sync.WaitGroup
		var failed atomic.Bool // what makes one text fail may take as many steps in each of the others
		for from := 0; from < len(docs); from += each {
			all.Go(func() {
				for i := from; i < min(from+each, len(docs)) && ctx.Err() == nil && !failed.Load(); i++ {
					if ids[i], errs[i] = tok.EncodeDocument(docs[i].Text); errs[i] != nil {
						failed.Store(true)
						errs[i] = fmt.Errorf("%s: the document that begins with %.40q: %w", docs[i].Path, docs[i].Text, errs[i])
					}
				}
			})
		}
		all.Wait()
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
			return nil, errs[i]
		}
		return ids, interrupted(ctx)
	})
}
