package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"bitgpu"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/modeldir"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/prepare"
)

// The flags that say how text becomes tokens, and those for a new vocabulary.
var (
	textFlagNames  = append(corpusFlagNames[:len(corpusFlagNames):len(corpusFlagNames)], "val-ratio")
	vocabFlagNames = []string{"vocab-size", "min-frequency"}
)

// refuseForTokens refuses flags for text if --data names tokens, or a directory without any.
func refuseForTokens(c *call, path string, flags ...string) error {
	if !dataset.IsTokenFile(path) {
		if _, err := dataset.Open(path); err != nil {
			return dataError(path, err)
		}
	}
	return refuseIdle(c, path+" holds tokens, which are made already", flags...)
}

// dataError explains an error about what --data names.
func dataError(path string, err error) error {
	switch {
	case errors.Is(err, prepare.ErrGivenTokenizer):
		return flagError("tokenizer", err)
	case errors.Is(err, prepare.ErrModelTokenizer):
		return err
	case errors.Is(err, fs.ErrNotExist) && !dataset.IsTokenFile(path):
		if made := filepath.Join(path, dataName); exists(filepath.Join(made, corpus.MetaName)) { // the directory of a training
			err = fmt.Errorf("%w; for the tokens in it: --data %s", err, shellWord(made))
			break
		}
		for _, pattern := range []string{"*.txt", "*.jsonl", "*.txt.gz", "*.jsonl.gz", "*.md"} {
			if found, failed := filepath.Glob(filepath.Join(path, pattern)); failed == nil && len(found) > 0 {
				err = fmt.Errorf("%w; for the text in it: --data '%s'", err, filepath.Join(path, pattern))
				break
			}
		}
	}
	return flagError("data", err)
}

// openData opens --data: a data directory, a token file, or text, which it first converts to a data directory inside the
// run's. start is the model that the training starts from, or nil, and resumed the checkpoint, if that is one. Only rank 0
// makes tokens from text; the others use them.
func (f *trainFlags) openData(ctx context.Context, path string, start *storage.Loaded, resumed *train.Checkpoint, ch chooser, leads bool) (*prepare.Data, error) {
	s := prepare.Source{Path: path, Made: filepath.Join(f.dir, dataName), Model: start, Resumed: resumed}
	isText := !dataset.IsTokens(path)
	switch {
	case !isText:
		if err := refuseForTokens(f.call, path, slices.Concat(textFlagNames, vocabFlagNames)...); err != nil {
			return nil, err
		}
	case resumed != nil:
		if err := resumed.CheckText(path); err != nil {
			return nil, usagef("train: --data: %w; --resume goes on with the same tokens", err)
		}
		if s.HasTokens() {
			why := fmt.Sprintf("the training goes on with the tokens in %s", s.Made)
			if err := refuseIdle(f.call, why, slices.Concat(textFlagNames, vocabFlagNames)...); err != nil {
				return nil, err
			}
		}
	}
	if f.given("tokenizer") {
		file, err := readFlag("tokenizer", f.tokenizer)
		if err != nil {
			return nil, err
		}
		s.Tokenizer = &prepare.File{Path: f.tokenizer, Data: file}
	}
	var failed error // of making tokens, which names its own flags
	if leads {
		s.Make = func() error {
			failed = f.tokenizeText(ctx, s, ch)
			return failed
		}
	}
	d, err := s.Open()
	switch {
	case err == nil:
	case failed != nil:
		return nil, failed
	case errors.Is(err, train.ErrTokens):
		return nil, fmt.Errorf("%w; the text, --document, --field and --val-ratio of its beginning give them", err)
	default:
		return nil, dataError(path, err)
	}
	if d.Bare {
		fmt.Fprintf(f.log, "%s: no tokenizer given; %d tokens of vocabulary, as many as the file uses\n", path, d.Vocab)
	}
	return d, nil
}

// tokenizeText makes a data directory from text. It reports wrong flags before doing any work.
func (f *trainFlags) tokenizeText(ctx context.Context, s prepare.Source, ch chooser) error {
	if err := checkRatio("train", f.ratio); err != nil {
		return err
	}
	if ch.validation(f.ratio) == 0 && f.options.ValEvery > 0 {
		return usagef("train: --val-every: --val-ratio 0 leaves no validation tokens")
	}
	if ch.validation(f.ratio) == 0 && f.options.Patience > 0 {
		return usagef("train: --patience waits for validations, and --val-ratio 0 leaves no tokens for them")
	}
	docs, err := f.reading.documents(ctx, "data", []string{s.Path})
	if err != nil {
		return err
	}
	name, file, err := f.givenTokenizer(s)
	if err != nil {
		return err
	}
	from := dataset.Source{Docs: docs, Mode: corpus.Mode(f.reading.document), Ratio: ch.validation(f.ratio)}
	if file == nil {
		if err := f.vocabulary.check("train"); err != nil {
			return err
		}
	}
	if err := split(f.call, &from, f.options.ValEvery > 0); err != nil {
		return err
	}
	if file == nil {
		var size int
		if file, size, err = dataset.Vocabulary(ctx, docs, ch.vocab(f.vocabulary.size), f.vocabulary.minFrequency); err != nil {
			return err
		}
		name = filepath.Join(s.Made, modeldir.TokenizerName)
		fmt.Fprintf(f.log, "vocabulary: %d tokens\n", size)
	}
	meta, err := dataset.Write(ctx, s.Made, name, file, from)
	if err != nil {
		return err
	}
	fmt.Fprintf(f.log, "data: %s for training, %s for validation\n", describePart(meta.Train), describePart(meta.Val))
	return nil
}

// givenTokenizer returns the tokenizer to read the text with, nil if one is to be made.
func (f *trainFlags) givenTokenizer(s prepare.Source) (name string, file []byte, err error) {
	start := s.Model
	if s.Tokenizer != nil {
		name, file = s.Tokenizer.Path, s.Tokenizer.Data
		if start != nil && start.TokenizerJSON != nil && !dataset.SameTokenizer(start.TokenizerJSON, file) {
			return "", nil, fmt.Errorf("--tokenizer: %s is not the tokenizer of %s", name, start.Path)
		}
	}
	if start != nil && start.TokenizerJSON != nil {
		if name, file = start.Path, start.TokenizerJSON; start.Files != nil {
			name = start.Files.TokenizerPath
		}
	}
	if file == nil && start != nil && start.Public != nil {
		return "", nil, fmt.Errorf("%s: %w; --tokenizer names it", start.Path, bitgpu.ErrNoTokenizer)
	}
	if file == nil {
		return "", nil, nil
	}
	return name, file, refuseIdle(f.call, name+" is the vocabulary", vocabFlagNames...)
}
