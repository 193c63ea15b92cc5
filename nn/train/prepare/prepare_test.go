package prepare

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
)

// text writes a text and makes a data directory of it, with a vocabulary of that many tokens.
func text(t *testing.T, dir, words string, size int) (path, made string) {
	t.Helper()
	path, made = filepath.Join(dir, "text.txt"), filepath.Join(dir, "data")
	if err := os.WriteFile(path, []byte(strings.Repeat(words, 50)), 0o644); err != nil {
		t.Fatal(err)
	}
	docs := corpus.Documents([]string{path}, corpus.Options{Mode: corpus.Line})
	vocabulary, _, err := dataset.Vocabulary(t.Context(), docs, size, 2)
	if err != nil {
		t.Fatal(err)
	}
	source := dataset.Source{Docs: docs, Mode: corpus.Line, Ratio: 0.2}
	if _, err := dataset.Write(t.Context(), made, "tokenizer.json", vocabulary, source); err != nil {
		t.Fatal(err)
	}
	return path, made
}

func TestOpenChecksTokenizers(t *testing.T) {
	_, ours := text(t, t.TempDir(), "the cat sat\n", 262)
	_, theirs := text(t, t.TempDir(), "a dog ran\n", 262) // as large, and another
	ourFile, err := os.ReadFile(filepath.Join(ours, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	model := &storage.Loaded{TokenizerJSON: ourFile, Path: "model"}
	for name, at := range map[string]string{"directory": "", "file": corpus.TrainName} {
		d, err := Source{Path: filepath.Join(ours, at), Model: model, Tokenizer: &File{Path: "ours.json", Data: ourFile}}.Open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d.Train.Len() == 0 || d.Vocab != 262 && d.Vocab != 0 || d.Bare {
			t.Errorf("%s: got %d tokens of %d, bare %v", name, d.Train.Len(), d.Vocab, d.Bare)
		}
		d.Close()
		if _, err := (Source{Path: filepath.Join(theirs, at), Model: model}).Open(); !errors.Is(err, ErrModelTokenizer) {
			t.Errorf("%s of another tokenizer than the model's: %v", name, err)
		}
	}
	_, err = Source{Path: theirs, Tokenizer: &File{Path: "ours.json", Data: ourFile}}.Open()
	if !errors.Is(err, ErrGivenTokenizer) || !strings.HasPrefix(err.Error(), "ours.json is not the one that made the tokens") {
		t.Errorf("tokens of another tokenizer than the given one: %v", err)
	}
	if err := SetVocab(&nn.Config{Vocab: 300}, model, &Data{Vocab: 262}); !errors.Is(err, ErrModelTokenizer) {
		t.Errorf("data of another vocabulary than the model's: %v", err)
	}
	if _, err := (Source{Path: t.TempDir()}).Open(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory without tokens: %v", err)
	}
}

// Without a tokenizer the vocabulary ends with the largest id.
func TestOpenBareTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bare.u16")
	if err := os.WriteFile(path, []byte{1, 0, 9, 0, 3, 0}, 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := Source{Path: path}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Vocab != 10 || !d.Bare || d.Train.Len() != 3 {
		t.Errorf("got %d tokens of %d, bare %v; want 3 of 10", d.Train.Len(), d.Vocab, d.Bare)
	}
}

// Tokens that a training has lost are made again; if the text gives others, they do not stay.
func TestResumedTokensAreTheSame(t *testing.T) {
	dir := t.TempDir()
	path, made := text(t, dir, "the cat sat\n", 262)
	d, err := Source{Path: made}.Open()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := d.Train.Fingerprint()
	d.Close()
	if err != nil {
		t.Fatal(err)
	}
	resumed := &train.Checkpoint{Path: "step-3", State: train.State{Data: sum, Options: train.Options{Data: path}}}
	s := Source{Path: path, Made: made, Resumed: resumed}
	remake := func(words string) func() error {
		return func() error {
			text(t, dir, words, 262)
			return nil
		}
	}
	if !s.HasTokens() {
		t.Error("the tokens are not found")
	}
	if err := os.RemoveAll(made); err != nil {
		t.Fatal(err)
	}
	s.Make = remake("a dog ran\n")
	if _, err := s.Open(); !errors.Is(err, train.ErrTokens) {
		t.Errorf("other tokens: %v", err)
	}
	if s.HasTokens() {
		t.Error("other tokens stay")
	}
	s.Make = remake("the cat sat\n")
	again, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	s.Path = filepath.Join(dir, "other.txt")
	if _, err := s.Open(); err == nil || !strings.Contains(err.Error(), "which step-3 was trained on") {
		t.Errorf("another text: %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "run")
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second training: %v", err)
	}
	unlock()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory of a training that wrote nothing stays: %v", err)
	}
	unlock, err = Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestInitialWeightsGo: a trainer has its own copy of the weights that it begins with, and they do not stay in memory beside it until
// the next collection, which may never come.
func TestInitialWeightsGo(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	d := device.CPU()
	defer d.Close()
	c := nn.Config{Vocab: 4000, Width: 256, Layers: 1, Mixer: nn.MixerDelta}.WithDefaults()
	o := train.DefaultOptions()
	o.Batch, o.Time = 1, 1
	trainer, err := Beginning{Config: c, Options: o, Shape: o.Shape()}.Trainer(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Release()
	var made, kept runtime.MemStats
	runtime.ReadMemStats(&made)
	runtime.GC()
	runtime.ReadMemStats(&kept)
	if garbage, weights := int64(made.HeapAlloc)-int64(kept.HeapAlloc), int64(4*c.ParamCount()); garbage > weights/2 {
		t.Errorf("%d bytes of garbage beside the trainer of %d bytes of weights", garbage, weights)
	}
}
