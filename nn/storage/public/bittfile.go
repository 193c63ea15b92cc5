package public

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"bitgpu/io/bitt"
	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
	"bitgpu/io/tokenizer"
	"bitgpu/io/trit"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// scaleSuffix follows the name of a ternary tensor in the name of its scales.
const scaleSuffix = "_scale"

// bittFile is a .bitt file as a source of parameters. Its tensors have the names of the parameters.
type bittFile struct {
	*modeldir.Model
	cols map[string]int // of ternary tensors, whose shape counts bytes
}

// FromBitt reads a model for whose config [IsBitt] is true. The files may be closed afterwards. The error is [ErrNoMasters]
// where Options.Floats asks for masters that the file does not have.
func FromBitt(files *modeldir.Model, o Options) (*Model, error) {
	m := &Model{Path: files.Path, Form: ".bitt"}
	if err := decodeBitt(files.Config, m); err != nil {
		return nil, fmt.Errorf("%s: %w", files.ConfigPath, err)
	}
	if files.Tokenizer != nil {
		var err error
		if m.Tokenizer, err = tokenizer.Parse(files.TokenizerPath, files.Tokenizer); err != nil {
			return nil, err
		}
		m.TokenizerJSON = files.Tokenizer
	}
	b := bittFile{files, map[string]int{}}
	if err := b.check(m.Decoder); err != nil {
		return nil, fmt.Errorf("%s: %w", files.TensorsPath, err)
	}
	for _, name := range files.Tensors.Names() {
		t, _ := files.Tensors.Tensor(name)
		m.Tensors = append(m.Tensors, Tensor{name, string(t.DType), t.Shape, int64(len(t.Data))})
	}
	return m, m.fill(b, o)
}

// has and strangers never fail here: check has already looked for missing and unknown tensors.
func (b bittFile) has(string) error                { return nil }
func (b bittFile) strangers(map[string]bool) error { return nil }

func (b bittFile) file(name string) string { return name }

// check compares the names, types and shapes of all tensors with those that the decoder needs, before any is read.
func (b bittFile) check(d *arch.Decoder) error {
	known := map[string]bool{}
	for _, p := range nn.Params(nn.OfDecoder(d)) {
		for _, name := range p.Names {
			known[name] = true
			shape := slices.Clone(p.Shape)
			shape[0] = rowsNamed(d, p, name)
			scaled, err := b.checkTensor(name, p.Kind, shape)
			if err != nil {
				return err
			}
			known[name+scaleSuffix] = scaled
		}
	}
	for _, name := range b.Tensors.Names() {
		if !known[name] {
			return fmt.Errorf("%s: got a tensor that the config does not name, want none", name)
		}
	}
	return nil
}

// checkTensor checks the headers of a tensor and of its scales, and reports whether it has scales.
func (b bittFile) checkTensor(name string, kind layer.Kind, shape []int) (scaled bool, err error) {
	t, ok := b.Tensors.Tensor(name)
	if !ok {
		return false, fmt.Errorf("%s is missing", name)
	}
	types := []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16, safetensors.U8}
	if kind == layer.Gain {
		types = types[:1]
	}
	if !slices.Contains(types, t.DType) {
		return false, fmt.Errorf("%s: got the type %s, want one of %v", name, t.DType, types)
	}
	want := slices.Clone(shape)
	if t.DType == safetensors.U8 {
		want[1] = trit.RowBytes(shape[1])
	}
	if !slices.Equal(t.Shape, want) {
		return false, fmt.Errorf("%s: got the shape %s, want %s", name, safetensors.FormatShape(t.Shape), safetensors.FormatShape(want))
	}
	if t.DType != safetensors.U8 {
		return false, nil
	}
	rows, cols := shape[0], shape[1]
	b.cols[name] = cols
	s, ok := b.Tensors.Tensor(name + scaleSuffix)
	switch {
	case !ok:
		return false, fmt.Errorf("%s%s is missing", name, scaleSuffix)
	case s.DType == safetensors.F32 && len(s.Shape) == 1 && (s.Shape[0] == 1 || s.Shape[0] == rows):
	case s.DType == safetensors.F16 && len(s.Shape) == 2 && s.Shape[0] == rows && s.Shape[1] > 0 && cols%s.Shape[1] == 0:
	default:
		return false, fmt.Errorf("%s: got %s %s, want F32 (1) or (%d), or F16 (%d, groups) with a divisor of %d",
			s.Name, s.DType, safetensors.FormatShape(s.Shape), rows, rows, cols)
	}
	return true, nil
}

func (b bittFile) rows(name string) (int, error) {
	t, _ := b.Tensors.Tensor(name)
	return t.Shape[0], nil
}

func (b bittFile) drop(name string) {
	t, _ := b.Tensors.Tensor(name)
	regular.Drop(t.Data)
}

func (b bittFile) close() error { return nil }

// part reads a tensor whose header has been checked.
func (b bittFile) part(name string, _ bool) (*part, error) {
	t, _ := b.Tensors.Tensor(name)
	x := &part{name: b.TensorsPath + ": " + name, rows: t.Shape[0]}
	if t.DType != safetensors.U8 {
		return x, x.readHF(t, nil)
	}
	s, _ := b.Tensors.Tensor(name + scaleSuffix)
	stride := t.Shape[1]
	x.cols = b.cols[name]
	r := &rowsOf{codes: func(dst []byte, r int) { copy(dst, t.Data[r*stride:(r+1)*stride]) }, alike: 1}
	x.ternary = r
	if s.DType == safetensors.F16 {
		groups := s.Shape[1]
		r.group = x.cols / groups
		r.halves = func(dst []uint16, row int) {
			for i := range dst {
				dst[i] = binary.LittleEndian.Uint16(s.Data[2*(row*groups+i):])
			}
		}
		return x, nil
	}
	r.group = x.cols
	if s.Shape[0] == 1 {
		r.alike = x.rows
	}
	var err error
	if r.scales, err = s.Float32s(); err != nil {
		return nil, err
	}
	if bad := op.FirstNotFinite(r.scales); bad >= 0 {
		return nil, fmt.Errorf("%s: %s: scale %d is not a finite number", b.TensorsPath, s.Name, bad)
	}
	return x, nil
}

// writeBitt writes a model as a .bitt file, every tensor in the format that it has in memory.
func (m *Model) writeBitt(path string) error {
	config, err := encodeBitt(m)
	if err != nil {
		return err
	}
	return bitt.WriteFile(path, config, json.RawMessage(m.TokenizerJSON), m.bittTensors(), nil)
}

// bittTensors returns the tensors of a file; they share the memory of the weights.
func (m *Model) bittTensors() (all []safetensors.Tensor) {
	nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) {
		first := 0
		for _, name := range p.Names {
			shape := slices.Clone(p.Shape)
			shape[0] = rowsNamed(m.Decoder, p, name)
			all = append(all, bittTensor(name, p, *h, shape, first)...)
			first += shape[0]
		}
	})
	return all
}

// bittTensor returns the tensors for one name of a parameter: the rows of shape[0] from `first` on, and their scales.
func bittTensor(name string, p nn.Param, h op.HostTensor, shape []int, first int) []safetensors.Tensor {
	rows, cols := shape[0], op.Count(shape)/shape[0]
	from, to := first*cols, (first+rows)*cols
	if _, ok := h.Format.Quants(); ok || h.Format == op.F32 {
		return []safetensors.Tensor{safetensors.FromFloat32s(name, shape, h.Float32s()[from:to])}
	}
	switch h.Format {
	case op.F16:
		return []safetensors.Tensor{safetensors.FromHalves(name, safetensors.F16, shape, h.F16[from:to])}
	case op.BF16:
		return []safetensors.Tensor{safetensors.FromHalves(name, safetensors.BF16, shape, h.F16[from:to])}
	}
	stride := trit.RowBytes(cols)
	codes := safetensors.FromUint8s(name, []int{rows, stride}, h.Codes[first*stride:(first+rows)*stride])
	if h.Group > 0 {
		n := cols / h.Group
		return []safetensors.Tensor{codes, safetensors.FromHalves(name+scaleSuffix, safetensors.F16, []int{rows, n}, h.GroupScales[first*n:(first+rows)*n])}
	}
	block := h.Shape[0] / len(h.Scales)
	scales := h.Scales[first/block : (first+rows+block-1)/block]
	if rows*len(p.Names) != h.Shape[0] && !slices.ContainsFunc(scales, func(s float32) bool { return s != scales[0] }) {
		scales = scales[:1] // the parameter's parts have unequal heights and so are read with one scale per row
	}
	return []safetensors.Tensor{codes, safetensors.FromFloat32s(name+scaleSuffix, []int{len(scales)}, scales)}
}
