package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"bitgpu/io/atomicfile"
	"bitgpu/io/corpus"
	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
)

// Dir is a data directory as [Write] makes it.
type Dir struct {
	Path      string
	Meta      corpus.Meta
	Tokenizer []byte // the file tokenizer.json
}

// Open reads the description and the tokenizer of a data directory, and checks that they belong together. The error wraps
// [fs.ErrNotExist] if the directory has no description.
func Open(dir string) (*Dir, error) {
	meta, err := corpus.ReadMeta(filepath.Join(dir, corpus.MetaName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noMeta(dir)
	}
	if err != nil {
		return nil, err
	}
	d := &Dir{Path: dir, Meta: meta}
	if d.Tokenizer, err = regular.ReadFile(d.TokenizerPath()); err != nil {
		return nil, err
	}
	if hash := corpus.TokenizerHash(d.Tokenizer); hash != meta.Tokenizer {
		return nil, fmt.Errorf("%s: not the tokenizer that made the tokens: got SHA-256 %.12s…, want %.12s…", d.TokenizerPath(), hash, meta.Tokenizer)
	}
	return d, nil
}

// noMeta is the error of a directory, given by its path, that is not a data directory.
type noMeta string

func (dir noMeta) Error() string {
	return fmt.Sprintf("%s has no %s, want a directory that `bitgpu data` wrote", string(dir), corpus.MetaName)
}

func (noMeta) Is(target error) bool { return target == fs.ErrNotExist }

// TokenizerPath returns the path of the tokenizer.
func (d *Dir) TokenizerPath() string { return filepath.Join(d.Path, modeldir.TokenizerName) }

// Train opens the tokens for training. There is at least one.
func (d *Dir) Train() (*corpus.Tokens, error) {
	if d.Meta.Train.Tokens == 0 {
		return nil, fmt.Errorf("%s: no training tokens", d.Path)
	}
	return corpus.OpenPart(filepath.Join(d.Path, corpus.TrainName), d.Meta.Train)
}

// Val opens the tokens for validation; nil if there are none.
func (d *Dir) Val() (*corpus.Tokens, error) {
	path := filepath.Join(d.Path, corpus.ValName)
	if d.Meta.Val.Tokens > 0 {
		return corpus.OpenPart(path, d.Meta.Val)
	}
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return nil, fmt.Errorf("%s: got %d bytes, want none as %s says; the files do not belong together", path, info.Size(), corpus.MetaName)
	}
	return nil, nil
}

// OpenTokens opens a token file. One in a data directory must match the description there; dir is that directory, or nil for
// a file outside of one.
func OpenTokens(path string) (tokens *corpus.Tokens, dir *Dir, err error) {
	base, folder := filepath.Base(path), filepath.Dir(path)
	described := base == corpus.TrainName || base == corpus.ValName
	if described {
		if err := atomicfile.Recover(folder); err != nil {
			return nil, nil, err
		}
		_, err := os.Stat(filepath.Join(folder, corpus.MetaName))
		described = err == nil
	}
	if !described {
		tokens, err = corpus.OpenTokens(path)
		return tokens, nil, err
	}
	if dir, err = Open(folder); err != nil {
		return nil, nil, err
	}
	part := dir.Meta.Train
	if base == corpus.ValName {
		part = dir.Meta.Val
	}
	tokens, err = corpus.OpenPart(path, part)
	return tokens, dir, err
}

// SameTokenizer compares the content of two tokenizer.json files regardless of their formatting.
func SameTokenizer(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
