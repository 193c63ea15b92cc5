package prepare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"bitgpu/io/atomicfile"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
	"bitgpu/io/tokenizer"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
)

// Errors about tokenizers, for errors.Is.
var (
	// ErrModelTokenizer means that the tokens were not made by the model's tokenizer.
	ErrModelTokenizer = errors.New("not the tokenizer of the model")
	// ErrGivenTokenizer means that the tokens were not made by the tokenizer that the caller gave.
	ErrGivenTokenizer = errors.New("not the tokenizer that made the tokens")
)

// Data is what a training reads.
type Data struct {
	Train     *corpus.Tokens
	Val       *corpus.Tokens  // nil if there is none
	Tokenizer json.RawMessage // nil if there is none
	Vocab     int             // number of tokens in the vocabulary
	Bare      bool            // without a tokenizer the vocabulary ends with the largest id
	Copies    int             // how often Train has its text, in other tokens each time; 0 is once
}

// Close closes the files.
func (d *Data) Close() {
	for _, tokens := range []*corpus.Tokens{d.Train, d.Val} {
		if tokens != nil {
			tokens.Close()
		}
	}
}

// File is a file's content with its path.
type File struct {
	Path string
	Data []byte
}

// Source says what the data of a training are.
type Source struct {
	Path string // a data directory, a token file, or text
	// Made is the data directory that is made from text, inside the directory of the training.
	Made      string
	Model     *storage.Loaded   // the model to start from, whose tokenizer the data must have; nil for new weights
	Resumed   *train.Checkpoint // the checkpoint to continue from, nil for a new training
	Tokenizer *File             // the tokenizer that the data must have, nil for any
	// Make writes the data directory Made from the text at Path. It is nil if another process has done so.
	Make func() error
}

// HasTokens reports whether the text has already become a data directory.
func (s Source) HasTokens() bool {
	_, err := corpus.ReadMeta(filepath.Join(s.Made, corpus.MetaName))
	return err == nil
}

// Open opens the data, and first makes tokens from text. A training that continues uses the tokens made when it began; if
// they are lost they are made again, and must be the same. Errors: [ErrModelTokenizer], [ErrGivenTokenizer], and those of
// [train.Checkpoint.CheckText] and [train.Checkpoint.CheckTokens].
func (s Source) Open() (*Data, error) {
	if dataset.IsTokens(s.Path) {
		if dataset.IsTokenFile(s.Path) {
			return s.openFile()
		}
		return s.openDir(s.Path)
	}
	if s.Resumed != nil {
		if err := s.Resumed.CheckText(s.Path); err != nil {
			return nil, err
		}
		if s.HasTokens() {
			return s.openDir(s.Made)
		}
	}
	if s.Make != nil {
		if err := s.Make(); err != nil {
			return nil, err
		}
	}
	d, err := s.openDir(s.Made)
	if err != nil || s.Resumed == nil {
		return d, err
	}
	// If these tokens differ from the lost ones, they must not stay, or they would be taken for them.
	found, err := d.Train.Fingerprint()
	if err == nil {
		err = s.Resumed.CheckTokens(s.Path, found)
	}
	if err != nil {
		d.Close()
		atomicfile.RemoveAll(s.Made)
		return nil, err
	}
	return d, nil
}

func (s Source) openDir(path string) (*Data, error) {
	dir, err := dataset.Open(path)
	if err != nil {
		return nil, err
	}
	d := &Data{Tokenizer: dir.Tokenizer, Vocab: dir.Meta.VocabSize, Copies: dir.Meta.Copies}
	if err := s.check(dir.TokenizerPath(), d.Tokenizer); err != nil {
		return nil, err
	}
	if d.Train, err = dir.Train(); err == nil {
		d.Val, err = dir.Val()
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// openFile opens a token file. Its tokenizer is the one given, the model's, or the one beside it.
func (s Source) openFile() (*Data, error) {
	tokens, err := OpenTokens(s.Path, s.Model)
	if err != nil {
		return nil, err
	}
	d := &Data{Train: tokens}
	if err := s.describe(d); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// describe finds the tokenizer of a token file, and the size of its vocabulary.
func (s Source) describe(d *Data) error {
	name := filepath.Join(filepath.Dir(s.Path), modeldir.TokenizerName)
	switch {
	case s.Tokenizer != nil:
		name, d.Tokenizer = s.Tokenizer.Path, s.Tokenizer.Data
	case s.Model != nil:
		d.Tokenizer, d.Vocab = s.Model.TokenizerJSON, s.Model.Config.Vocab
		return nil
	default:
		file, err := regular.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		d.Tokenizer = file
	}
	if d.Tokenizer == nil {
		d.Bare = true
		for ids, err := range d.Train.All() {
			if err != nil {
				return err
			}
			d.Vocab = max(d.Vocab, int(slices.Max(ids))+1)
		}
		return nil
	}
	tok, err := tokenizer.Parse(name, d.Tokenizer)
	if err != nil {
		return err
	}
	d.Vocab = tok.Size()
	return s.check(name, d.Tokenizer)
}

// check compares the tokenizer of the tokens, from the file called name, with the one given and with the model's.
func (s Source) check(name string, file []byte) error {
	if g := s.Tokenizer; g != nil && g.Path != name && !dataset.SameTokenizer(g.Data, file) {
		return mismatch{ErrGivenTokenizer, fmt.Sprintf("%s is not the one that made the tokens, %s", g.Path, name)}
	}
	return CheckTokenizer(name, file, s.Model)
}

// CheckTokenizer returns [ErrModelTokenizer] if a tokenizer, from the file called name, is not the model's: even if it has
// the same size, its ids stand for other text. Without a model, or if the model has no tokenizer, any tokenizer will do.
func CheckTokenizer(name string, file []byte, model *storage.Loaded) error {
	if model != nil && model.TokenizerJSON != nil && !dataset.SameTokenizer(model.TokenizerJSON, file) {
		return mismatch{ErrModelTokenizer, fmt.Sprintf("%s: not the tokenizer of %s; the data must be made with the tokenizer of the model", name, model.Path)}
	}
	return nil
}

// mismatch is an error of a kind, with its own text.
type mismatch struct {
	kind error
	text string
}

func (m mismatch) Error() string { return m.text }

func (m mismatch) Unwrap() error { return m.kind }

// OpenTokens opens a token file for a model; nil means any. A file in a data directory must match its description there, and
// the tokenizer beside it must be the model's, otherwise the error is [ErrModelTokenizer].
func OpenTokens(path string, model *storage.Loaded) (*corpus.Tokens, error) {
	tokens, dir, err := dataset.OpenTokens(path)
	if err != nil {
		return nil, err
	}
	if dir != nil {
		if err := CheckTokenizer(dir.TokenizerPath(), dir.Tokenizer, model); err != nil {
			tokens.Close()
			return nil, err
		}
	}
	return tokens, nil
}

// SetVocab sets the vocabulary of a configuration to that of the data. For a model of a public family the data may use fewer
// tokens than the model has. The error is [ErrModelTokenizer] for data with another vocabulary than the model's, or that of
// [nn.Config.Validate].
func SetVocab(config *nn.Config, model *storage.Loaded, d *Data) error {
	if config.Decoder != nil && d.Vocab <= config.Vocab {
		return nil // there may be rows that no token uses
	}
	if model != nil && config.Vocab != d.Vocab {
		return mismatch{ErrModelTokenizer, fmt.Sprintf("%s: got vocab_size %d, the data have %d", model.Path, config.Vocab, d.Vocab)}
	}
	config.Vocab = d.Vocab
	return config.Validate()
}
