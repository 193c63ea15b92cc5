// Package storage stands between files and models: it reads every accepted form into weights in host memory, refuses parts
// that do not fit together, and writes weights, as floats or packed.
//
// The containers themselves belong to packages modeldir, bitt and safetensors, and the memory that a model learns while it
// runs to package memory.
//
// # Why
//
// Why are float weights quantised while they are read? A model runs on two bits per weight. Packed straight from the mapped
// file, one block of rows after another, the floats are never in memory as a whole, and a model of any size needs less memory
// than its file. Training asks for the floats with [Options].Masters.
//
// Why is a tensor refused that the config does not call for? A file with five layers under a config of four, or with the
// delta mixer's tensors under a tied config, would run and write nonsense. Names that cannot be the model's, such as another
// program's caches, are accepted and listed in [Loaded].Ignored.
//
// Why do unpacked files contain odd numbers? See [Export].
package storage

import (
	"encoding/json"
	"errors"
	"fmt"

	"bitgpu/io/chat"
	"bitgpu/io/hf"
	"bitgpu/io/modeldir"
	"bitgpu/io/tokenizer"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage/public"
)

// Options says what to read.
type Options struct {
	// Masters keeps the Linear parameters in float32 for training; a packed file gives the floats that [Export] would write.
	// Without Masters they are packed.
	Masters bool
	// Config is what the caller knows of the model, nil for nothing. A file that contradicts it is refused with [ErrConfig], and
	// it replaces the config.json that a safetensors file lacks. Optional fields may be left 0 or "".
	Config *nn.Config
	// Context limits how many tokens a session of a public family has room for; 0 means what the model was trained for.
	Context int
	// Rounding says how to round the float masters of a public family whose files do not say that they are masters.
	Rounding *hf.Rounding
}

// Loaded is a model in host memory. Its weights may be views of the mapped file, which become invalid with Close.
type Loaded struct {
	Config        nn.Config
	Weights       *nn.Weights[op.HostTensor]
	Tokenizer     *tokenizer.Tokenizer // nil if the model has none
	TokenizerJSON json.RawMessage      // nil if there is none
	Files         *modeldir.Model
	Ignored       []string      // tensors of the file that the model does not use
	Public        *public.Model // a model of a public family; then Files is nil and no weight is a view of the file
	Path          string
	Ends          []uint32       // the ids that end a text
	Template      *chat.Template // of conversations, nil when there is none
}

// ErrPublic is returned for a model of a public family by operations that support only our own models.
var ErrPublic = errors.New("is a model of a public family")

// Load reads the model at path: a directory, a .bitt file, a safetensors file beside its config.json, or a model of a public
// family in any form that package public reads. Errors name the file. The error is [ErrConfig] where the options' config
// contradicts the file, [ErrPublic] where the options ask a public model for what only our own offer, and
// [public.ErrNoMasters] where they ask for masters that the files do not have.
func Load(path string, o Options) (*Loaded, error) {
	if public.Recognize(path) {
		return loadPublic(path, o)
	}
	if o.Rounding != nil {
		return nil, fmt.Errorf("%s: masters: got a rounding, want none: it is no directory of a public family", path)
	}
	config, err := givenJSON(o.Config)
	if err != nil {
		return nil, err
	}
	files, err := modeldir.OpenDescribed(path, config)
	if err != nil {
		return nil, err
	}
	return load(files, o)
}

// Parse reads the bytes of a .bitt file, which must not change until Close. name is for messages. Errors are those of [Load].
func Parse(name string, data []byte, o Options) (*Loaded, error) {
	files, err := modeldir.Parse(name, data)
	if err != nil {
		return nil, err
	}
	return load(files, o)
}

func loadPublic(path string, o Options) (*Loaded, error) {
	if err := ownOnly(path, o); err != nil {
		return nil, err
	}
	m, err := public.Open(path, public.Options{Context: o.Context, Masters: o.Rounding, Floats: o.Masters})
	if err != nil {
		return nil, err
	}
	return ofPublic(m), nil
}

// ownOnly refuses options that only our own models support.
func ownOnly(path string, o Options) error {
	if o.Config != nil {
		return fmt.Errorf("%s: %w, want one of our own, which a configuration can describe", path, ErrPublic)
	}
	return nil
}

func ofPublic(m *public.Model) *Loaded {
	return &Loaded{
		Config: nn.OfDecoder(m.Decoder), Weights: m.Weights, Tokenizer: m.Tokenizer, TokenizerJSON: m.TokenizerJSON, Public: m, Path: m.Path,
		Ends: m.Ends, Template: m.Template,
	}
}

// Close releases the model's file. Weights that are views of it become invalid.
func (l *Loaded) Close() error {
	if l.Files == nil {
		return nil
	}
	return l.Files.Close()
}

func load(files *modeldir.Model, o Options) (*Loaded, error) {
	if public.IsBitt(files.Config) {
		defer files.Close() // everything has been copied
		if err := ownOnly(files.Path, o); err != nil {
			return nil, err
		}
		m, err := public.FromBitt(files, public.Options{Context: o.Context, Floats: o.Masters})
		if err != nil {
			return nil, err
		}
		return ofPublic(m), nil
	}
	l := &Loaded{TokenizerJSON: files.Tokenizer, Files: files, Path: files.Path}
	if err := l.fill(o); err != nil {
		files.Close()
		return nil, err
	}
	return l, nil
}

func (l *Loaded) fill(o Options) error {
	var err error
	if l.Config, err = nn.ParseConfig(l.Files.ConfigPath, l.Files.Config); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	switch {
	case l.Files.Described:
		err = agree(l.Files.Path, l.Config, describe(l.Files.Tensors), true)
	case o.Config != nil:
		err = agree(l.Files.Path, *o.Config, l.Config, false)
	}
	if err != nil {
		return err
	}
	if l.Weights, l.Ignored, err = read(l.Files, l.Config, o); err != nil {
		return err
	}
	if l.TokenizerJSON == nil {
		return nil
	}
	if l.Tokenizer, err = tokenizer.Parse(l.Files.TokenizerPath, l.TokenizerJSON); err != nil {
		return err
	}
	if size := l.Tokenizer.Size(); size != l.Config.Vocab {
		return fmt.Errorf("tokenizer: %s: got %d tokens, want %d, as vocab_size in %s says",
			l.Files.TokenizerPath, size, l.Config.Vocab, l.Files.ConfigPath)
	}
	l.Ends = l.Tokenizer.EndOfText()
	return nil
}

// container returns the name of the format that begins messages about its tensors.
func container(f modeldir.Form) string {
	if f == modeldir.Bitt {
		return "bitt"
	}
	return "safetensors"
}
