// Package storage stands between files and the model: it reads any accepted form into weights in host memory, refuses
// what does not fit together, and writes weights back, as floats or packed.
//
// It is not for the containers themselves, which packages modeldir, bitt and safetensors know, and not for the memory
// that a model learns while it runs, which is package memory's.
//
// # Why
//
// Why are float weights quantised while they are read? A model runs on two bits a weight. Packed straight from the mapped file,
// block of rows by block of rows, they never exist as a second float copy, and a model of any size needs less memory than its
// file. Training asks for the floats with [Options].Masters.
//
// Why is a tensor refused that the config does not name? A file with five layers under a config of four, or with the
// delta mixer's tensors under a tied config, would run and write nonsense. Names outside the model's own, such as
// caches of other programs, are let pass and listed in [Loaded].Ignored.
//
// Why does an unpacked file hold odd numbers? See [Export].
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

// Options say what is wanted of the weights.
type Options struct {
	// Masters keeps the Linear parameters in float32, as training needs them; a packed file gives the floats that
	// [Export] would write. Otherwise they come packed.
	Masters bool
	// Config is what the caller knows of the model, nil for nothing. A file that it contradicts is refused with
	// [ErrConfig], and it stands in for the config.json that a safetensors file lacks. Optional fields that are 0 or ""
	// are left open.
	Config *nn.Config
	// Context bounds how many tokens a session of a public family has room for; 0 is what the model was made for.
	Context int
	// Rounding says how the float masters of a public family are rounded, where its files do not say that they are such.
	Rounding *hf.Rounding
}

// Loaded is a model in host memory. Its weights may be views of the mapped file, which are invalid after Close.
type Loaded struct {
	Config        nn.Config
	Weights       *nn.Weights[op.HostTensor]
	Tokenizer     *tokenizer.Tokenizer // nil when the model has none
	TokenizerJSON json.RawMessage      // nil if there is none
	Files         *modeldir.Model
	Ignored       []string      // tensors of the file that are no part of the model
	Public        *public.Model // of a public family; Files is nil then, and no weight is a view of the file
	Path          string
	Ends          []uint32       // the ids that end a text
	Template      *chat.Template // of conversations, nil when there is none
}

// ErrPublic is returned for a model of a public family where the operation works with our own models only.
var ErrPublic = errors.New("is a model of a public family")

// Load reads the model at path: a directory, a .bitt file, a safetensors file beside its config.json, or a model of a public
// family in the forms of package public, of which a .bitt file is one. An error names the file; it is [ErrConfig] where the
// options' config contradicts it, [ErrPublic] where they ask of a public model what only our own can do, and
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

// Parse reads the bytes of a .bitt file, which must stay as they are until Close. The name is for messages. The errors are
// those of [Load].
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

// ownOnly refuses what can be done with our own models only.
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

// Close ends the model; weights that are views of its file are invalid from then on.
func (l *Loaded) Close() error {
	if l.Files == nil {
		return nil
	}
	return l.Files.Close()
}

func load(files *modeldir.Model, o Options) (*Loaded, error) {
	if public.IsBitt(files.Config) {
		defer files.Close() // everything is a copy
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
		err = agree(l.Files.Path, l.Config, describe(l.Files.Tensors))
	case o.Config != nil:
		err = agree(l.Files.Path, *o.Config, l.Config)
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

// container is the format's name that begins a message about its tensors.
func container(f modeldir.Form) string {
	if f == modeldir.Bitt {
		return "bitt"
	}
	return "safetensors"
}
