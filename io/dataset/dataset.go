// Package dataset turns text into what training reads: a vocabulary, and a data directory of tokens with a part for
// validation. It also measures text: how many bytes tokens stand for, and how large a text is before it is read.
//
// Finding documents in files, and the token files themselves, belong to package corpus; the tokenizer's algorithm belongs to
// package tokenizer.
//
// # Why
//
// Why does cancelling the context leave everything as it was? Users interrupt what takes minutes, and a data directory made
// from half a text looks like one made from all of it.
package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"bitgpu/internal/await"
	"bitgpu/io/chat"
	"bitgpu/io/corpus"
	"bitgpu/io/lesson"
	"bitgpu/io/modeldir"
	"bitgpu/io/tokenizer"
)

// Source is the text for a data directory.
type Source struct {
	Docs     iter.Seq2[corpus.Document, error]
	Val      iter.Seq2[corpus.Document, error] // all for validation; nil if there is none
	Mode     corpus.Mode                       // what a document is, recorded in the directory
	Template *chat.Template                    // renders documents that are conversations; nil for text
	Ratio    float64                           // share of Docs for validation, at least 0 and below 1

	// Dropout is the share of merges that are left out of the text for training, see [tokenizer.Encoder.Dropout], and Copies how
	// often this text is written, in other tokens each time; 0 is once. Not for conversations.
	Dropout float64
	Copies  int

	inVal func(text string) bool // called for Docs in order; nil: by the documents' hashes
}

// Vocabulary makes a tokenizer.json with at most size tokens, each merged from a pair that occurs at least minFrequency
// times. tokens is how many it has: fewer if the text does not have enough pairs. If the context is cancelled, the error is
// its cause.
func Vocabulary(ctx context.Context, docs iter.Seq2[corpus.Document, error], size, minFrequency int) (file []byte, tokens int, err error) {
	texts := func(yield func(string, error) bool) {
		for doc, err := range docs {
			if !yield(doc.Text, err) {
				return
			}
		}
	}
	file, err = await.For(ctx, func() ([]byte, error) {
		return tokenizer.Train(texts, tokenizer.TrainOptions{
			VocabSize: size, MinFrequency: minFrequency, Stop: func() error { return context.Cause(ctx) },
		})
	})
	if err != nil {
		return nil, 0, err
	}
	tok, err := tokenizer.Parse(modeldir.TokenizerName, file)
	if err != nil {
		return nil, 0, err
	}
	return file, tok.Size(), nil
}

// Write writes a data directory as a whole: token files for training and validation, the tokenizer from file (name is for
// errors), and a description. If it fails, the old directory stays; if the context is cancelled, the error is its cause.
func Write(ctx context.Context, dir, name string, file []byte, from Source) (corpus.Meta, error) {
	var meta corpus.Meta
	tok, err := tokenizer.Parse(name, file)
	if err != nil {
		return meta, err
	}
	if from.Template != nil && from.Dropout > 0 {
		return meta, errors.New("got dropout of merges for conversations, want it for text alone")
	}
	ends := tok.EndOfText()
	if len(ends) == 0 {
		return meta, fmt.Errorf("%s: no token that ends a text, such as <|endoftext|>, to put between documents", name)
	}
	meta = corpus.Meta{
		VocabSize: tok.Size(), EndOfText: ends[0], Tokenizer: corpus.TokenizerHash(file), Document: from.Mode, ValRatio: from.Ratio,
	}
	if from.Dropout > 0 {
		meta.Dropout, meta.Copies = from.Dropout, max(from.Copies, 1)
	}
	out, err := corpus.CreateDir(dir)
	if err != nil {
		return meta, err
	}
	defer out.Discard()
	w := &partWriter{tok: tok, meta: &meta, train: out.Train, val: out.Val}
	if from.Template != nil {
		w.teacher = lesson.NewTeacher(tok, from.Template)
		out.TrainMarks, out.ValMarks = []byte{}, []byte{}
		w.trainMarks, w.valMarks = &out.TrainMarks, &out.ValMarks
	}
	if from.inVal == nil {
		from.inVal = func(text string) bool { return corpus.InValidation(text, from.Ratio) }
	}
	if err := w.write(ctx, from.Docs, from.inVal, from.Dropout > 0); err != nil {
		return meta, err
	}
	for i := range meta.Copies {
		if err := w.writeDropped(ctx, from, uint64(i)); err != nil {
			return meta, err
		}
	}
	if from.Val != nil {
		if err := w.write(ctx, from.Val, func(string) bool { return true }, false); err != nil {
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

// write encodes documents and appends each to its part, or passes over those for training.
func (w *partWriter) write(ctx context.Context, docs iter.Seq2[corpus.Document, error], inVal func(text string) bool, valOnly bool) error {
	if w.teacher != nil {
		return EncodeChats(w.teacher, docs, func(text string, d lesson.Document) error {
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
	return Encode(ctx, w.tok, docs, func(text string, ids []uint32) error {
		switch {
		case inVal(text):
			return w.append(w.val, &w.meta.Val, text, ids)
		case valOnly:
			return nil
		}
		return w.append(w.train, &w.meta.Train, text, ids)
	})
}

// writeDropped appends the documents for training with merges left out.
func (w *partWriter) writeDropped(ctx context.Context, from Source, seed uint64) error {
	enc := w.tok.NewEncoder()
	if err := enc.Dropout(from.Dropout, seed); err != nil {
		return err
	}
	return encodeAll(ctx, enc, from.Docs, func(text string, ids []uint32) error {
		if from.inVal(text) {
			return nil
		}
		return w.append(w.train, &w.meta.Train, text, ids)
	})
}

func (w *partWriter) append(file *corpus.TokenWriter, part *corpus.Part, text string, ids []uint32) error {
	part.Documents++
	part.Tokens += int64(len(ids)) + 1
	part.Bytes += int64(len(text))
	return file.Append(append(ids, w.meta.EndOfText)...)
}
