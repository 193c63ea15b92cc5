package dataset

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/io/tokenizer"
)

// docsOf are documents of one file each, or of one for all.
func docsOf(oneFile bool, texts ...string) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		for i, text := range texts {
			path := "book.txt"
			if !oneFile {
				path = string(rune('a'+i)) + ".txt"
			}
			if !yield(corpus.Document{Text: text, Path: path}, nil) {
				return
			}
		}
	}
}

// outside is a text whose hash lies outside of a share, or within it.
func outside(ratio float64, within bool) string {
	text := "words"
	for corpus.InValidation(text, ratio) != within {
		text += " more"
	}
	return text
}

func TestSplit(t *testing.T) {
	const ratio = 0.3
	in, out := outside(ratio, true), outside(ratio, false)
	for name, c := range map[string]struct {
		docs iter.Seq2[corpus.Document, error]
		want *SplitError // nil: both parts get something
	}{
		"both":        {docsOf(false, in, out), nil},
		"one file":    {docsOf(true, out, out), nil},
		"none":        {docsOf(false, out, out), &SplitError{ratio, 2, false}},
		"all":         {docsOf(false, in, in), &SplitError{ratio, 2, true}},
		"one, all of": {docsOf(true, in), nil},
	} {
		s := Source{Docs: c.docs, Ratio: ratio}
		err := s.Split()
		var got *SplitError
		if errors.As(err, &got) != (c.want != nil) || got != nil && *got != *c.want {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err != nil || s.inVal == nil {
			continue
		}
		train, val := 0, 0
		for doc := range s.Docs {
			if s.inVal(doc.Text) {
				val += len(doc.Text)
			} else {
				train += len(doc.Text)
			}
		}
		if train == 0 || val == 0 {
			t.Errorf("%s: got %d bytes for training and %d for validation, want some for both", name, train, val)
		}
	}
}

// TestStopped: an end of the context gives its cause and leaves nothing behind.
func TestStopped(t *testing.T) {
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(context.Background())
	stop(why)
	docs := docsOf(true, strings.Repeat("the cat sat on the mat ", 50))
	if _, _, err := Vocabulary(ctx, docs, 300, 2); err != why {
		t.Errorf("got %v, want %v", err, why)
	}
	file, _, err := Vocabulary(context.Background(), docs, 300, 2)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	if _, err := Write(ctx, dir, "tokenizer.json", file, Source{Docs: docs}); err != why {
		t.Errorf("got %v, want %v", err, why)
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("an empty directory is left")
	}
}

func TestMeasures(t *testing.T) {
	text := strings.Repeat("the cat sat on the mat ", 50)
	docs := docsOf(true, text)
	file, _, err := Vocabulary(context.Background(), docs, 300, 2)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse("tokenizer.json", file)
	if err != nil {
		t.Fatal(err)
	}
	var ids []uint32
	if err := Encode(context.Background(), tok, docs, func(_ string, tokens []uint32) error {
		ids = append(ids, tokens...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	pieces := func(yield func([]uint32, error) bool) {
		_ = yield(ids[:1], nil) && yield(ids[1:], nil)
	}
	first := len(tok.Decode(ids[:1], true))
	if n, err := TextBytes(tok, pieces); err != nil || n != int64(len(text)-first) {
		t.Errorf("got %d bytes (%v), want %d", n, err, len(text)-first)
	}
	if got, err := Text(tok, pieces); err != nil || string(got) != text {
		t.Errorf("got %q (%v), want %q", got, err, text)
	}
	path := filepath.Join(t.TempDir(), "book.txt")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := EstimateBytes(path); got != int64(len(text)) {
		t.Errorf("got %d bytes, want %d", got, len(text))
	}
	if got := EstimateBytes(path + ".none"); got != 0 {
		t.Errorf("got %d bytes of a file that is not there, want 0", got)
	}
}

// TestDropout: the text for training is written as often as is said, in other tokens each time, and that for validation once, as it is.
func TestDropout(t *testing.T) {
	text := strings.Repeat("the cat sat on the mat and the dog on the log\n", 40)
	file, _, err := Vocabulary(context.Background(), docsOf(true, text), 300, 2)
	if err != nil {
		t.Fatal(err)
	}
	write := func(dropout float64, copies int) (corpus.Meta, []byte) {
		s := Source{Docs: docsOf(true, text), Mode: corpus.Whole, Ratio: 0.25, Dropout: dropout, Copies: copies}
		if err := s.Split(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		meta, err := Write(context.Background(), dir, "tokenizer.json", file, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := EstimateBytes(dir); got != int64(len(text)) { // copies are no more text
			t.Errorf("%d copies: got %d bytes, want %d", copies, got, len(text))
		}
		val, err := os.ReadFile(filepath.Join(dir, corpus.ValName))
		if err != nil {
			t.Fatal(err)
		}
		return meta, val
	}
	plain, val := write(0, 0)
	dropped, sameVal := write(0.3, 3)
	if !bytes.Equal(val, sameVal) || plain.Val != dropped.Val {
		t.Errorf("validation: got %+v, want %+v", dropped.Val, plain.Val)
	}
	if dropped.Copies != 3 || dropped.Dropout != 0.3 || plain.Copies != 0 {
		t.Errorf("got %d copies with dropout %v, and %d without, want 3 with 0.3, and none", dropped.Copies, dropped.Dropout, plain.Copies)
	}
	if got, want := dropped.Train, plain.Train; got.Documents != 3*want.Documents || got.Bytes != 3*want.Bytes || got.Tokens <= 3*want.Tokens {
		t.Errorf("training: got %+v, want three times %+v and more tokens", got, want)
	}
}
