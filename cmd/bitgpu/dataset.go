package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"bitgpu"
	"bitgpu/io/atomicfile"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
	"bitgpu/io/tokenizer"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"

	"github.com/urfave/cli/v2"
)

// trainingData is what a training reads.
type trainingData struct {
	train, val *corpus.Tokens  // val is nil if there is none
	tokenizer  json.RawMessage // nil if there is none
	vocab      int
}

// The flags that say how text becomes tokens, and those of a new vocabulary.
var (
	textFlagNames  = append(corpusFlagNames[:len(corpusFlagNames):len(corpusFlagNames)], "val-ratio")
	vocabFlagNames = []string{"vocab-size", "min-frequency"}
)

// refuseForTokens refuses flags that are for text where --data names tokens, or a directory without any.
func refuseForTokens(c *cli.Context, path string, flags ...string) error {
	if !dataset.IsTokenFile(path) {
		if _, _, _, err := readDataDir(path); err != nil {
			return err
		}
	}
	return refuseIdle(c, path+" holds tokens, which are made already", flags...)
}

// openData opens --data: a data directory, a token file, or text, which it first turns into a data
// directory inside the run's. start is the model that the training begins with, or nil, and resumed
// the checkpoint, if that is one. Only rank 0 makes tokens of text; the others find them.
func openData(ctx context.Context, c *cli.Context, path, dir string, start *storage.Loaded, resumed *train.Checkpoint, ch chooser, leads bool) (*trainingData, error) {
	if dataset.IsTokens(path) {
		if err := refuseForTokens(c, path, slices.Concat(textFlagNames, vocabFlagNames)...); err != nil {
			return nil, err
		}
		if dataset.IsTokenFile(path) {
			return openTokenFile(c, path, start)
		}
		return openDataDir(c, path, start)
	}
	made := filepath.Join(dir, "data")
	if resumed != nil {
		if was := resumed.State.Options.Data; filepath.Clean(path) != filepath.Clean(was) {
			return nil, usagef("train: --data: got %s, want %s, which %s was trained on; --resume goes on with the same tokens", path, was, resumed.Path)
		}
		if _, err := corpus.ReadMeta(filepath.Join(made, corpus.MetaName)); err == nil {
			why := fmt.Sprintf("the training goes on with the tokens in %s", made)
			if err := refuseIdle(c, why, slices.Concat(textFlagNames, vocabFlagNames)...); err != nil {
				return nil, err
			}
			return openDataDir(c, made, start)
		}
	}
	if leads {
		if err := tokenizeText(ctx, c, path, made, start, ch); err != nil {
			return nil, err
		}
	}
	d, err := openDataDir(c, made, start)
	if err != nil || resumed == nil {
		return d, err
	}
	// Lost tokens have been made again. If they differ from the old ones they must not stay and be taken for them.
	found, err := d.train.Fingerprint()
	if err == nil {
		err = resumed.CheckTokens(path, found)
	}
	if err != nil {
		d.close()
		atomicfile.RemoveAll(made)
		return nil, fmt.Errorf("%w; the text, --document, --field and --val-ratio of its beginning give them", err)
	}
	return d, nil
}

func (d *trainingData) close() {
	for _, tokens := range []*corpus.Tokens{d.train, d.val} {
		if tokens != nil {
			tokens.Close()
		}
	}
}

// readDataDir reads what a data directory says of itself, and its tokenizer.
func readDataDir(dir string) (meta corpus.Meta, name string, file []byte, err error) {
	meta, err = corpus.ReadMeta(filepath.Join(dir, corpus.MetaName))
	if errors.Is(err, fs.ErrNotExist) {
		hint := ""
		for _, pattern := range []string{"*.txt", "*.jsonl", "*.txt.gz", "*.jsonl.gz"} {
			if found, err := filepath.Glob(filepath.Join(dir, pattern)); err == nil && len(found) > 0 {
				hint = fmt.Sprintf("; for the text in it: --data '%s'", filepath.Join(dir, pattern))
				break
			}
		}
		return meta, "", nil, flagError("data", fmt.Errorf("%s has no %s, want a directory that `bitgpu data` wrote%s", dir, corpus.MetaName, hint))
	}
	if err != nil {
		return meta, "", nil, flagError("data", err)
	}
	name = filepath.Join(dir, modeldir.TokenizerName)
	if file, err = regular.ReadFile(name); err != nil {
		return meta, "", nil, flagError("data", err)
	}
	if hash := corpus.TokenizerHash(file); hash != meta.Tokenizer {
		return meta, "", nil, flagError("data", fmt.Errorf("%s: not the tokenizer that made the tokens: got SHA-256 %.12s…, want %.12s…",
			name, hash, meta.Tokenizer))
	}
	return meta, name, file, nil
}

func openDataDir(c *cli.Context, dir string, start *storage.Loaded) (*trainingData, error) {
	meta, name, file, err := readDataDir(dir)
	if err != nil {
		return nil, err
	}
	d := &trainingData{tokenizer: file, vocab: meta.VocabSize}
	if err := d.check(c, name, start); err != nil {
		return nil, err
	}
	if meta.Train.Tokens == 0 {
		return nil, fmt.Errorf("--data: %s: no training tokens", dir)
	}
	if d.train, err = corpus.OpenPart(filepath.Join(dir, corpus.TrainName), meta.Train); err != nil {
		return nil, flagError("data", err)
	}
	if val := filepath.Join(dir, corpus.ValName); meta.Val.Tokens > 0 {
		d.val, err = corpus.OpenPart(val, meta.Val)
	} else if info, failed := os.Stat(val); failed == nil && info.Size() > 0 {
		err = fmt.Errorf("%s: got %d bytes, want none as %s says; the files do not belong together", val, info.Size(), corpus.MetaName)
	}
	if err != nil {
		d.close()
		return nil, flagError("data", err)
	}
	return d, nil
}

// openTokenFile opens bare tokens. Their tokenizer is that of the model, of --tokenizer, or the one
// beside them; without any, the vocabulary ends with the largest id.
func openTokenFile(c *cli.Context, path string, start *storage.Loaded) (*trainingData, error) {
	tokens, err := openTokens(path, start)
	if err != nil {
		return nil, err
	}
	d := &trainingData{train: tokens}
	name := filepath.Join(filepath.Dir(path), modeldir.TokenizerName)
	switch {
	case c.IsSet("tokenizer"):
		name = c.String("tokenizer")
		d.tokenizer, err = readFlag(c, "tokenizer")
	case start != nil:
		d.tokenizer, d.vocab = start.TokenizerJSON, start.Config.Vocab
		return d, nil
	default:
		d.tokenizer, err = regular.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			d.tokenizer, err = nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if d.tokenizer == nil {
		for ids, err := range tokens.All() {
			if err != nil {
				return nil, flagError("data", err)
			}
			d.vocab = max(d.vocab, int(slices.Max(ids))+1)
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
func (d *trainingData) check(c *cli.Context, name string, start *storage.Loaded) error {
	if c.IsSet("tokenizer") && name != c.String("tokenizer") {
		file, err := readFlag(c, "tokenizer")
		if err != nil {
			return err
		}
		if !sameJSON(file, d.tokenizer) {
			return fmt.Errorf("--tokenizer: %s is not the one that made the tokens, %s", c.String("tokenizer"), name)
		}
	}
	return ofModel(name, d.tokenizer, start)
}

// ofModel refuses tokens that were made by another tokenizer than the model's: even if it has the same size, their ids stand
// for other text.
func ofModel(name string, file []byte, model *storage.Loaded) error {
	if model != nil && model.TokenizerJSON != nil && !sameJSON(model.TokenizerJSON, file) {
		return fmt.Errorf("%s: not the tokenizer of %s; the data must be made with --tokenizer of the model", name, model.Path)
	}
	return nil
}

// openTokens opens a token file. One that lies in a data directory has to be what that says, and of the model's
// tokenizer.
func openTokens(path string, model *storage.Loaded) (tokens *corpus.Tokens, err error) {
	base, dir := filepath.Base(path), filepath.Dir(path)
	described := base == corpus.TrainName || base == corpus.ValName
	if described {
		if err := atomicfile.Recover(dir); err != nil {
			return nil, flagError("data", err)
		}
		_, err := os.Stat(filepath.Join(dir, corpus.MetaName))
		described = err == nil
	}
	if !described {
		tokens, err = corpus.OpenTokens(path)
	} else {
		meta, name, file, err := readDataDir(dir)
		if err != nil {
			return nil, err
		}
		if err := ofModel(name, file, model); err != nil {
			return nil, err
		}
		part := meta.Train
		if base == corpus.ValName {
			part = meta.Val
		}
		if tokens, err = corpus.OpenPart(path, part); err != nil {
			return nil, flagError("data", err)
		}
	}
	if err != nil {
		return nil, flagError("data", err)
	}
	return tokens, nil
}

// sameJSON compares what two files say, however they are written.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// tokenizeText makes a data directory of text. What is wrong with the flags is said before any work.
func tokenizeText(ctx context.Context, c *cli.Context, path, dir string, start *storage.Loaded, ch chooser) error {
	if err := checkRatio(c); err != nil {
		return err
	}
	if ch.validation(c) == 0 && c.Int("val-every") > 0 {
		return usagef("train: --val-every: --val-ratio 0 leaves no validation tokens")
	}
	docs, err := openDocuments(ctx, c, "data", []string{path})
	if err != nil {
		return err
	}
	name, file, err := givenTokenizer(c, start)
	if err != nil {
		return err
	}
	from := dataset.Source{Docs: docs, Mode: corpus.Mode(c.String("document")), Ratio: ch.validation(c)}
	if file == nil {
		if err := checkVocabFlags(c); err != nil {
			return err
		}
	}
	if err := split(c, &from); err != nil {
		return err
	}
	if file == nil {
		var size int
		if file, size, err = dataset.Vocabulary(ctx, docs, ch.vocab(c), c.Int("min-frequency")); err != nil {
			return err
		}
		name = filepath.Join(dir, modeldir.TokenizerName)
		fmt.Fprintf(c.App.ErrWriter, "vocabulary: %d tokens\n", size)
	}
	meta, err := dataset.Write(ctx, dir, name, file, from)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "data: %s for training, %s for validation\n", describePart(meta.Train), describePart(meta.Val))
	return nil
}

// givenTokenizer is the tokenizer that text is to be read with, nil when one is to be made.
func givenTokenizer(c *cli.Context, start *storage.Loaded) (name string, file []byte, err error) {
	if c.IsSet("tokenizer") {
		name = c.String("tokenizer")
		if file, err = readFlag(c, "tokenizer"); err != nil {
			return "", nil, err
		}
		if start != nil && start.TokenizerJSON != nil && !sameJSON(start.TokenizerJSON, file) {
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
	return name, file, refuseIdle(c, name+" is the vocabulary", vocabFlagNames...)
}
