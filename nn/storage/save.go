package storage

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/io/bitt"
	"bitgpu/io/modeldir"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/storage/public"
	"bitgpu/nn/ternary"
)

// Types of embedding and head in a file, as in [Layout].Head.
const (
	HeadAsIs = ""
	HeadF32  = "f32"
	HeadF16  = "f16"
	HeadInt8 = "int8" // with one scale per row
)

// Layout says how to write a model.
type Layout struct {
	Pack bool   // ternary matrices in two bits a weight instead of floats
	Head string // the type of both tables, embedding and head
	// Type is the type of ternary matrices in a GGUF file of a model of a public family; see public.ExportOptions. The other
	// fields do not apply to such models.
	Type string
}

// Validate returns nil, or an error that says in one sentence what is wrong.
func (o Layout) Validate() error {
	if !slices.Contains([]string{HeadAsIs, HeadF32, HeadF16, HeadInt8}, o.Head) {
		return fmt.Errorf("head: got %q, want %s, %s or %s", o.Head, HeadF32, HeadF16, HeadInt8)
	}
	return public.ExportOptions{Type: o.Type}.Validate()
}

// CheckTarget returns the form that a model written to path would have: a directory, if it exists or path ends in a slash, or
// a file whose name ends in .bitt. Other paths are an error.
func CheckTarget(path string) (modeldir.Form, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir(), strings.HasSuffix(path, "/"), strings.HasSuffix(path, string(filepath.Separator)):
		return modeldir.Dir, nil
	case strings.HasSuffix(path, ".bitt"):
		return modeldir.Bitt, nil
	}
	return 0, fmt.Errorf("%s: want a name that ends in .bitt, or a directory, with a / at its end if it is new", path)
}

// Export writes a model that was read to another file. Tensors whose form does not change are copied byte by byte.
//
// A packed model that is written without Pack gets float weights. They are not the ones that it was trained with, which a
// packed file does not contain, but they quantise to the same ternary matrix and the same γ.
//
// A model of a public family is written to a .bitt file, a .gguf file or a directory in Hugging Face's form, see
// [public.Model.Export]. Its weights are packed already: with Pack or a Head other than HeadAsIs the error is [ErrPublic].
func (l *Loaded) Export(path string, o Layout) error {
	if l.Public != nil {
		if o.Pack || o.Head != HeadAsIs {
			return fmt.Errorf("%s: %w, which is packed already and keeps the types of embedding and head", l.Path, ErrPublic)
		}
		return l.Public.Export(path, public.ExportOptions{Type: o.Type})
	}
	if public.IsGGUF(path) || o.Type != "" {
		return fmt.Errorf("%s: a model of our own has no form in GGUF, want a name that ends in .bitt, or a directory", path)
	}
	config, err := json.Marshal(l.Config)
	if err != nil {
		return err
	}
	return write(path, l.Config, config, l.TokenizerJSON, l.Files.Tensors.Tensor, l.Files.Tensors.Metadata(), o)
}

// Save writes weights from host memory. A nil tokenizer is left out.
func Save(path string, c nn.Config, tokenizer json.RawMessage, w *nn.Weights[op.HostTensor], metadata map[string]string, o Layout) error {
	config, err := json.Marshal(c)
	if err != nil {
		return err
	}
	parts := map[string]safetensors.Tensor{}
	nn.Walk(c, w, func(p nn.Param, h *op.HostTensor) {
		for _, t := range split(p, *h) {
			parts[t.Name] = t
		}
	})
	from := func(name string) (safetensors.Tensor, bool) {
		t, ok := parts[name]
		return t, ok
	}
	return write(path, c, config, tokenizer, from, metadata, o)
}

// split returns the tensors of a file that hold a parameter. They share its memory.
func split(p nn.Param, h op.HostTensor) []safetensors.Tensor {
	op.Check(p.Names[0], h.Shape, p.Shape...)
	var out []safetensors.Tensor
	shape := p.PartShape()
	n := op.Count(shape)
	for i, name := range p.Names {
		switch h.Format {
		case op.F32:
			out = append(out, safetensors.FromFloat32s(name, shape, h.F32[i*n:(i+1)*n]))
		case op.F16:
			out = append(out, halfTensor(name, shape, h.F16))
		case op.I8:
			out = append(out, safetensors.FromInt8s(name, shape, h.I8), scaleTensor(name, h.Scales))
		case op.Ternary:
			width := ternary.RowBytes(shape[1])
			size := shape[0] * width
			out = append(out, safetensors.FromUint8s(name, []int{shape[0], width}, h.Codes[i*size:(i+1)*size]),
				scaleTensor(name, h.Scales[i:i+1]))
		default:
			panic(fmt.Sprintf("storage: %s: no file holds %v weights", name, h.Format))
		}
	}
	return out
}

func halfTensor(name string, shape []int, v []uint16) safetensors.Tensor {
	data := make([]byte, 0, 2*len(v))
	for _, x := range v {
		data = append(data, byte(x), byte(x>>8))
	}
	return safetensors.Tensor{Name: name, DType: safetensors.F16, Shape: shape, Data: data}
}

func write(path string, c nn.Config, config, tokenizer json.RawMessage, from source, metadata map[string]string, o Layout) error {
	if err := o.Validate(); err != nil {
		return err
	}
	form, err := CheckTarget(path)
	if err != nil {
		return err
	}
	tensors, err := convert(c, from, o)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if form == modeldir.Bitt {
		return bitt.WriteFile(path, config, tokenizer, tensors, metadata)
	}
	return modeldir.WriteDir(path, config, tokenizer, tensors, metadata)
}

// convert converts the checked tensors of a model to another layout.
func convert(c nn.Config, from source, o Layout) ([]safetensors.Tensor, error) {
	var out []safetensors.Tensor
	var first error
	nn.Walk(c, new(nn.Weights[struct{}]), func(p nn.Param, _ *struct{}) {
		for _, name := range p.Names {
			if first != nil {
				return
			}
			t, ok := from(name)
			if !ok {
				first = fmt.Errorf("%s: no such tensor", name)
				return
			}
			parts := []safetensors.Tensor{t}
			switch {
			case p.Kind == layer.Linear:
				parts, first = convertLinear(from, t, p.PartShape()[1], o.Pack)
			case p.Kind == layer.Table:
				parts, first = convertTable(from, t, o.Head)
			}
			out = append(out, parts...)
		}
	})
	return out, first
}

func convertLinear(from source, t safetensors.Tensor, cols int, packed bool) ([]safetensors.Tensor, error) {
	switch {
	case packed == (t.DType == safetensors.U8):
		return withScale(from, t), nil
	case packed:
		codes, scale, err := pack(t)
		return []safetensors.Tensor{codes, scale}, err
	}
	h, err := readPacked(from, t, cols)
	if err != nil {
		return nil, err
	}
	w, err := unpack(t.Name, h)
	return []safetensors.Tensor{w}, err
}

// withScale returns the tensor unchanged, followed by its scale if it has one.
func withScale(from source, t safetensors.Tensor) []safetensors.Tensor {
	if s, ok := from(t.Name + scaleSuffix); ok {
		return []safetensors.Tensor{t, s}
	}
	return []safetensors.Tensor{t}
}

func convertTable(from source, t safetensors.Tensor, head string) ([]safetensors.Tensor, error) {
	types := map[string]safetensors.DType{HeadAsIs: t.DType, HeadF32: safetensors.F32, HeadF16: safetensors.F16, HeadInt8: safetensors.I8}
	if types[head] == t.DType {
		return withScale(from, t), nil
	}
	v, err := tableFloats(from, t)
	if err != nil {
		return nil, err
	}
	switch head {
	case HeadF16:
		half, err := safetensors.FromFloat16s(t.Name, t.Shape, v)
		return []safetensors.Tensor{half}, err
	case HeadInt8:
		codes, scales := op.PackInt8(v, t.Shape[0], t.Shape[1])
		return []safetensors.Tensor{safetensors.FromInt8s(t.Name, t.Shape, codes), scaleTensor(t.Name, scales)}, nil
	}
	return []safetensors.Tensor{safetensors.FromFloat32s(t.Name, t.Shape, v)}, nil
}

// tableFloats returns a table's elements as float32, whatever its type.
func tableFloats(from source, t safetensors.Tensor) ([]float32, error) {
	if t.DType != safetensors.I8 {
		return floats(t)
	}
	codes, err := t.Int8s()
	if err != nil {
		return nil, err
	}
	s, _ := from(t.Name + scaleSuffix)
	scales, err := floats(s)
	if err != nil {
		return nil, err
	}
	v := make([]float32, len(codes))
	cols := t.Shape[1]
	for i, q := range codes {
		v[i] = float32(q) * scales[i/cols]
	}
	return v, nil
}
