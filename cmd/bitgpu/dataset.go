package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/corpus"
	"bitgpu/io/modeldir"
	"bitgpu/io/tokenizer"
	"bitgpu/nn/storage"

	"github.com/urfave/cli/v2"
)

// dataset is what a training reads.
type dataset struct {
	train, val *corpus.Tokens  // val is nil if there is none
	tokenizer  json.RawMessage // nil if there is none
	vocab      int
}

// isTokenFile tells token files by the ends of their names, which say the width of an id.
func isTokenFile(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".u32" || ext == ".u16"
}

// openData opens --data: a data directory, a token file, or text, which it first turns into a data
// directory inside the run's. start is the model that the training begins with, or nil.
func openData(c *cli.Context, path, dir string, start *storage.Loaded) (*dataset, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return openDataDir(c, path, start)
	case isTokenFile(path):
		return openTokenFile(c, path, start)
	}
	made := filepath.Join(dir, "data")
	if err := tokenizeText(c, path, made, start); err != nil {
		return nil, err
	}
	return openDataDir(c, made, start)
}

func openDataDir(c *cli.Context, dir string, start *storage.Loaded) (*dataset, error) {
	meta, err := corpus.ReadMeta(filepath.Join(dir, corpus.MetaName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--data: %s has no %s; a directory that `bitgpu data` wrote wanted", dir, corpus.MetaName)
	}
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, modeldir.TokenizerName)
	file, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if hash := corpus.TokenizerHash(file); hash != meta.Tokenizer {
		return nil, fmt.Errorf("%s: not the tokenizer that made the tokens: SHA-256 %.12s… wanted, %.12s… found", name, meta.Tokenizer, hash)
	}
	d := &dataset{tokenizer: file, vocab: meta.VocabSize}
	if err := d.check(c, name, start); err != nil {
		return nil, err
	}
	if meta.Train.Tokens == 0 {
		return nil, fmt.Errorf("%s: no training tokens", dir)
	}
	if d.train, err = corpus.OpenTokens(filepath.Join(dir, corpus.TrainName)); err != nil {
		return nil, err
	}
	if meta.Val.Tokens > 0 {
		d.val, err = corpus.OpenTokens(filepath.Join(dir, corpus.ValName))
	}
	return d, err
}

// openTokenFile opens bare tokens. Their tokenizer is that of the model, of --tokenizer, or the one
// beside them; without any, the vocabulary ends with the largest id.
func openTokenFile(c *cli.Context, path string, start *storage.Loaded) (*dataset, error) {
	tokens, err := corpus.OpenTokens(path)
	if err != nil {
		return nil, err
	}
	d := &dataset{train: tokens}
	name := filepath.Join(filepath.Dir(path), modeldir.TokenizerName)
	switch {
	case c.IsSet("tokenizer"):
		name = c.String("tokenizer")
		d.tokenizer, err = os.ReadFile(name)
	case start != nil:
		d.tokenizer, d.vocab = start.TokenizerJSON, start.Config.Vocab
		return d, nil
	default:
		d.tokenizer, err = os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			d.tokenizer, err = nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if d.tokenizer == nil {
		for i := range tokens.Len() {
			d.vocab = max(d.vocab, int(tokens.At(i))+1)
		}
		fmt.Fprintf(c.App.ErrWriter, "%s: no tokenizer given; %d tokens of vocabulary, as many as the file uses\n", path, d.vocab)
		return d, nil
	}
	tok, err := tokenizer.Parse(name, d.tokenizer)
	if err != nil {
		return nil, err
	}
	d.vocab = tok.Size()
	return d, d.check(c, name, start)
}

// check refuses a tokenizer that is not the model's.
func (d *dataset) check(c *cli.Context, name string, start *storage.Loaded) error {
	if c.IsSet("tokenizer") && !isTokenFile(c.String("data")) {
		file, err := os.ReadFile(c.String("tokenizer"))
		if err != nil {
			return err
		}
		if !sameJSON(file, d.tokenizer) {
			return fmt.Errorf("--tokenizer: %s is not the one that made the tokens, %s", c.String("tokenizer"), name)
		}
	}
	if start != nil && start.TokenizerJSON != nil && !sameJSON(start.TokenizerJSON, d.tokenizer) {
		return fmt.Errorf("%s: not the tokenizer of %s; the data must be made with --tokenizer of the model", name, start.Files.Path)
	}
	return nil
}

// sameJSON compares without regard to white space.
func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// tokenizeText makes a data directory of text. One that is whole is kept when a run is resumed.
func tokenizeText(c *cli.Context, path, dir string, start *storage.Loaded) error {
	if c.Bool("resume") {
		if _, err := corpus.ReadMeta(filepath.Join(dir, corpus.MetaName)); err == nil {
			return nil
		}
	}
	inputs := []string{path}
	docs, err := openDocuments(c, inputs)
	if err != nil {
		return err
	}
	var file []byte
	name := path
	switch {
	case start != nil && start.TokenizerJSON != nil:
		name, file = start.Files.TokenizerPath, start.TokenizerJSON
	case c.IsSet("tokenizer"):
		name = c.String("tokenizer")
		file, err = os.ReadFile(name)
	default:
		var size int
		if file, size, err = makeVocab(docs, c.Int("vocab-size"), c.Int("min-frequency")); err == nil {
			fmt.Fprintf(c.App.ErrWriter, "vocabulary: %d tokens\n", size)
		}
	}
	if err != nil {
		return fmt.Errorf("--data: %s: %w", path, err)
	}
	meta, err := makeData(dir, name, file, docs, corpus.Mode(c.String("document")), c.Float64("val-ratio"))
	if err != nil {
		return fmt.Errorf("--data: %s: %w", path, err)
	}
	fmt.Fprintf(c.App.ErrWriter, "data: %s for training, %s for validation\n", describePart(meta.Train), describePart(meta.Val))
	return nil
}
