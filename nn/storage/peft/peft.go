// Package peft reads and writes low-rank adapters in the form of PEFT (huggingface.co/docs/peft): a directory with
// adapter_model.safetensors and adapter_config.json, or a single safetensors file whose metadata contains the configuration,
// under the key adapter_config.json. It converts one adapter, or several with weights, to an nn.Adapter.
//
// An adapter adds to matrices of layers, and may hold norms and tables as a whole (PEFT's modules_to_save). Files name them as
// the public families do, model.layers.N.self_attn.q_proj, with any prefix before "layers."; parameters of our own models have
// our names, layers.N.ttt.down.
//
// # Why
//
// Why is there no merging? Added to ternary weights and packed again, B·A would mostly be lost to rounding.
package peft

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
)

// The names of a directory's files. A single file has the second as a key of its metadata.
const (
	ModelName  = "adapter_model.safetensors"
	ConfigName = "adapter_config.json"
)

// Adapter is the content of a file, matched to a model.
type Adapter struct {
	Path     string
	matrices []matrix // in the order of the model's
	whole    []whole
}

// matrix is the adapter of one matrix.
type matrix struct {
	nn.Matrix
	rank  int
	scale float64   // α/r
	a, b  []float32 // (r, K), (R, r), rows in the order of the model's parts
}

// Load reads the adapter at path, a directory or a file. It refuses an adapter that does not fit the model's matrices.
func Load(path string, c nn.Config) (*Adapter, error) {
	file, name, settings, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	a := &Adapter{Path: path}
	err = regular.Guard(func() (err error) {
		a.matrices, a.whole, err = read(file, settings, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}

// About is what an adapter's files say about it.
type About struct {
	Base     string  `json:"base"` // the model that it was trained for
	Rank     int     `json:"rank"`
	Alpha    float64 `json:"alpha"`
	Matrices int     `json:"matrices"` // how many are adapted
	// Saved names the modules that the adapter holds as a whole, in place of the model's, as PEFT's configuration does.
	Saved []string `json:"modules_to_save,omitempty"`
}

// Describe reads the description of an adapter, and opens its tensors, which the caller closes. A path without an adapter is
// an error.
func Describe(path string) (About, *safetensors.File, error) {
	file, _, s, err := open(path)
	if err != nil {
		return About{}, nil, err
	}
	about := About{Base: s.Base, Rank: s.R, Alpha: *s.Alpha}
	for _, name := range file.Names() {
		if m := tensorName.FindStringSubmatch(name); m == nil {
			if m := wholeName.FindStringSubmatch(name); m != nil && !slices.Contains(about.Saved, listed(m[1])) {
				about.Saved = append(about.Saved, listed(m[1]))
			}
		} else if m[2] == "A" {
			about.Matrices++
		}
	}
	return about, file, nil
}

// open opens the tensors of an adapter and reads its configuration. name is the file with the tensors.
func open(path string) (file *safetensors.File, name string, s *settings, err error) {
	name = path
	isDir := false
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		name, isDir = filepath.Join(path, ModelName), true
	}
	file, err = atomicfile.Open(filepath.Dir(name), func() (*safetensors.File, error) {
		file, err := safetensors.Open(name)
		if err != nil {
			return nil, err
		}
		if err = regular.Guard(file.CheckSum); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		} else {
			s, err = configOf(file, name, isDir)
		}
		if err != nil {
			file.Close()
			return nil, err
		}
		return file, nil
	})
	return file, name, s, err
}

// configOf reads the configuration: from adapter_config.json in a directory, from the metadata of a single file.
func configOf(file *safetensors.File, name string, isDir bool) (*settings, error) {
	text, inside := file.Metadata()[ConfigName]
	data := []byte(text)
	if isDir || !inside {
		var err error
		data, err = regular.ReadFile(filepath.Join(filepath.Dir(name), ConfigName))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: got no %s in it or beside it, want one: it says the rank and α of the adapter", name, ConfigName)
		}
		if err != nil {
			return nil, err
		}
	}
	s, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, ConfigName, err)
	}
	return s, nil
}

// wrapper is what PEFT puts before a model's names.
const wrapper = "base_model.model."

// tensorName matches PEFT's name for an A or a B of a layer; the adapter's name before "weight" is optional.
var tensorName = regexp.MustCompile(`^(?:.*\.)?(layers\.\d+\..+)\.lora_([AB])(?:\.[^.]+)?\.weight$`)

// read finds A and B for the matrices of the model, and the parameters that the adapter holds as a whole.
func read(file *safetensors.File, s *settings, c nn.Config) ([]matrix, []whole, error) {
	found, others := map[string][2]safetensors.Tensor{}, map[string]safetensors.Tensor{}
	for _, name := range file.Names() {
		m := tensorName.FindStringSubmatch(name)
		if m == nil {
			others[name], _ = file.Tensor(name)
			continue
		}
		pair := found[m[1]]
		pair[m[2][0]-'A'], _ = file.Tensor(name)
		found[m[1]] = pair
	}
	saved, err := readWhole(others, s, c)
	switch {
	case err != nil:
		return nil, nil, err
	case len(file.Names()) == 0:
		return nil, nil, fmt.Errorf("got no tensors, want the A and B of an adapter")
	case len(found) == 0:
		return nil, nil, fmt.Errorf("got no A and B of a matrix, want those of one or more")
	}
	var all []matrix
	for _, m := range nn.Matrices(c) {
		module := strings.TrimSuffix(m.Name, ".weight")
		pair, ok := found[module]
		if !ok {
			continue
		}
		delete(found, module)
		x := matrix{Matrix: m, rank: s.rank(module)}
		x.scale = s.scale(module, x.rank)
		var err error
		if x.a, err = floats(pair[0], module+".lora_A", x.rank, m.Cols); err != nil {
			return nil, nil, err
		}
		if x.b, err = floats(pair[1], module+".lora_B", m.Rows, x.rank); err != nil {
			return nil, nil, err
		}
		x.b = x.reorder(c, x.b, false)
		all = append(all, x)
	}
	for module := range found {
		return nil, nil, fmt.Errorf("got an adapter of %.100s, want one for the matrices of this model: it has %d layers, with %s", module, c.Layers, Modules(c))
	}
	return all, saved, nil
}

// floats returns the elements of a tensor of the given shape.
func floats(t safetensors.Tensor, name string, shape ...int) ([]float32, error) {
	if !slices.Equal(t.Shape, shape) {
		return nil, fmt.Errorf("%.100s: got the shape %s, want %s, as the model has; the adapter is another model's", name,
			safetensors.FormatShape(t.Shape), safetensors.FormatShape(shape))
	}
	v, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	for i, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil, fmt.Errorf("%.100s: element %d: got %v, want finite numbers", name, i, x)
		}
	}
	return v, nil
}

// Modules lists the names that a model's matrices have within their layers, each once.
func Modules(c nn.Config) string {
	var names []string
	seen := map[string]bool{}
	for _, m := range nn.Matrices(c) {
		if name := Module(m.Name); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Module returns the name of a matrix within its layer: "mlp.up_proj" for "layers.3.mlp.up_proj.weight".
func Module(name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(name, "layers."), ".")
	return strings.TrimSuffix(rest, ".weight")
}

// reorder moves the rows of B into the order of the model's parts, or back into the order of files, in which the gates of
// attention follow the query of each head.
func (x *matrix) reorder(c nn.Config, b []float32, back bool) []float32 {
	if len(x.Each) != 2 || c.Decoder == nil || !c.Decoder.Gated {
		return b
	}
	width, r := c.Decoder.HeadWidth, x.rank
	out := make([]float32, len(b))
	for part := range 2 {
		for i := range x.Each[0] {
			ours, theirs := part*x.Each[0]+i, (2*(i/width)+part)*width+i%width
			if back {
				ours, theirs = theirs, ours
			}
			copy(out[ours*r:(ours+1)*r], b[theirs*r:(theirs+1)*r])
		}
	}
	return out
}
