// Package hf reads ternary matrices from checkpoints in the form of Hugging Face's model hub: a directory with config.json
// and safetensors, in one file or in several with an index.
//
// It reads BitNet's packed bytes with a scale that multiplies or divides, BitNet's bfloat16 masters, floats with ternary
// values (TriLM, Bonsai's unpacked files) and MLX's two bits. All become a [trit.Matrix].
//
// Architectures are not its business: the engine knows which tensors a model has and what it does with them.
//
// # Why
//
// Why is a master quantised only if the config says so or the caller asks? Nothing in its numbers distinguishes the masters
// of a ternary model from a float model, whereas for the other forms the single magnitude within each group of weights is
// plain to see.
//
// Why are scales found rather than computed if floats have ternary values? The mean magnitude, which is BitNet's scale, is
// too small by the share of zeros.
package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/internal/mapfile"
	"bitgpu/io/safetensors"
	"bitgpu/io/trit"
)

const (
	configName  = "config.json"
	tensorsName = "model.safetensors"
)

// Checkpoint is an open directory.
type Checkpoint struct {
	Config json.RawMessage // config.json, an object
	path   string          // of the tensors, for messages
	tensors
	quantization quantization
}

type tensors interface {
	Names() []string
	Tensor(name string) (safetensors.Tensor, bool)
	Size() int64
	Close() error
}

// quantization is what config.json says about the form of the weights.
type quantization struct {
	Method  string   `json:"quant_method"`
	Class   string   `json:"linear_class"`
	Mode    string   `json:"quantization_mode"`
	Floats  []string `json:"modules_to_not_convert"`
	Bits    *int     // given by MLX, which names no method
	Group   *int     `json:"group_size"`
	MLXMode string   `json:"mode"`
}

// Open opens the checkpoint in a directory.
func Open(dir string) (*Checkpoint, error) {
	config := filepath.Join(dir, configName)
	file, err := mapfile.Open(config)
	if err != nil {
		return nil, fmt.Errorf("hf: %w", err)
	}
	defer file.Close()
	c := &Checkpoint{Config: append(json.RawMessage{}, file.Data...)}
	if c.quantization, err = readQuantization(c.Config); err != nil {
		return nil, fmt.Errorf("hf: %s: %w", config, err)
	}
	c.path = filepath.Join(dir, tensorsName)
	if _, err := os.Stat(c.path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		c.tensors, err = safetensors.Open(c.path)
		if err != nil {
			return nil, fmt.Errorf("hf: %w", err)
		}
		return c, nil
	}
	c.path = filepath.Join(dir, safetensors.IndexName)
	if _, err := os.Stat(c.path); err != nil {
		return nil, fmt.Errorf("hf: %s: neither %s nor %s is here", dir, tensorsName, safetensors.IndexName)
	}
	if c.tensors, err = safetensors.OpenIndex(c.path); err != nil {
		return nil, fmt.Errorf("hf: %w", err)
	}
	return c, nil
}

func readQuantization(config json.RawMessage) (quantization, error) {
	var both struct {
		Config *quantization `json:"quantization_config"`
		MLX    *quantization `json:"quantization"`
	}
	if err := json.Unmarshal(config, &both); err != nil {
		return quantization{}, err
	}
	var q quantization
	switch {
	case both.Config != nil && both.Config.Method != "":
		q = *both.Config
	case both.MLX != nil:
		q = *both.MLX
	case both.Config != nil:
		q = *both.Config
	}
	if q.Method != "" && q.Method != "bitnet" {
		return q, fmt.Errorf("quantization_config: quant_method %q is not supported, want bitnet", q.Method)
	}
	if q.Method == "bitnet" {
		switch q.Class {
		case "", "bitlinear", "autobitlinear":
		default:
			return q, fmt.Errorf("quantization_config: linear_class %q is not supported, want bitlinear or autobitlinear", q.Class)
		}
		switch q.Mode {
		case "", "offline", "online":
		default:
			return q, fmt.Errorf("quantization_config: quantization_mode %q is not supported, want offline or online", q.Mode)
		}
	}
	return q, nil
}

// Online reports whether the config says that masters are quantised in each pass.
func (c *Checkpoint) Online() bool {
	q := c.quantization
	return q.Method == "bitnet" && q.Class == "autobitlinear" && q.Mode == "online"
}

// Ternary reads the matrix of a linear layer, NAME.weight, in the form that the config and its type imply: packed BitNet,
// BitNet's masters if the config quantises them in each pass ([HalfEven]), MLX, or floats with ternary values. Errors name
// the file, the tensor and, for weights that are not ternary, the row.
func (c *Checkpoint) Ternary(name string) (*trit.Matrix, error) {
	m, err := c.ternary(name)
	if err != nil {
		return nil, fmt.Errorf("hf: %s: %s: %w", c.path, name, err)
	}
	return m, nil
}

func (c *Checkpoint) ternary(name string) (*trit.Matrix, error) {
	t, err := c.matrix(name)
	if err != nil {
		return nil, err
	}
	q := c.quantization
	module := strings.TrimSuffix(name, ".weight")
	switch {
	case t.DType == safetensors.U8:
		if q.Method != "bitnet" {
			return nil, errors.New("is packed, but config.json has no quantization_config with quant_method bitnet, which says whether the scale multiplies or divides")
		}
		scale, err := c.sibling(module + ".weight_scale")
		if err != nil {
			return nil, err
		}
		return Packed(t, scale, q.Class != "autobitlinear")
	case t.DType == safetensors.U32:
		return c.mlx(t, module)
	case q.Method == "bitnet":
		if q.Class != "autobitlinear" || q.Mode != "online" {
			return nil, fmt.Errorf("is %s, want packed weights of type U8: the model keeps this one in floats", t.DType)
		}
		if q.keeps(module) {
			return nil, errors.New("is not among the layers that the model quantizes")
		}
		return Quantize(t, HalfEven)
	}
	return Unpacked(t)
}

// keeps reports whether the model leaves a module in floats, as it does embeddings and head.
func (q quantization) keeps(module string) bool {
	for _, kept := range append([]string{"embed_tokens", "lm_head"}, q.Floats...) {
		if strings.Contains("."+module+".", "."+kept+".") {
			return true
		}
	}
	return false
}

// Quantize makes a ternary matrix from a float master, for checkpoints whose config does not say that they contain masters,
// such as Falcon-E's "prequantized" ones ([HalfUp]).
func (c *Checkpoint) Quantize(name string, rounding Rounding) (*trit.Matrix, error) {
	t, err := c.matrix(name)
	var m *trit.Matrix
	if err == nil {
		m, err = Quantize(t, rounding)
	}
	if err != nil {
		return nil, fmt.Errorf("hf: %s: %s: %w", c.path, name, err)
	}
	return m, nil
}

// matrix returns a tensor that has two axes.
func (c *Checkpoint) matrix(name string) (safetensors.Tensor, error) {
	t, ok := c.Tensor(name)
	switch {
	case !ok:
		return t, errors.New("is not there")
	case len(t.Shape) != 2 || t.Shape[0] == 0 || t.Shape[1] == 0:
		return t, fmt.Errorf("has the shape %s, want a matrix", safetensors.FormatShape(t.Shape))
	}
	return t, nil
}

func (c *Checkpoint) sibling(name string) (safetensors.Tensor, error) {
	t, ok := c.Tensor(name)
	if !ok {
		return t, fmt.Errorf("%s is not there", name)
	}
	return t, nil
}

func (c *Checkpoint) mlx(t safetensors.Tensor, module string) (*trit.Matrix, error) {
	q := c.quantization
	if q.Group == nil || q.Bits == nil || q.Method != "" {
		return nil, errors.New("is packed by MLX, but config.json has no quantization with bits and group_size")
	}
	if q.MLXMode != "" && q.MLXMode != "affine" {
		return nil, fmt.Errorf("is packed by MLX in the mode %q, want affine", q.MLXMode)
	}
	scales, err := c.sibling(module + ".scales")
	if err != nil {
		return nil, err
	}
	biases, err := c.sibling(module + ".biases")
	if err != nil {
		return nil, err
	}
	return MLX(t, scales, biases, *q.Group)
}
