package storage

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// scaleSuffix follows the name of a packed or int8 tensor in the name of its scales.
const scaleSuffix = "_scale"

// source finds a tensor by name.
type source func(name string) (safetensors.Tensor, bool)

// read fills the weights that the configuration requires from the file's tensors.
func read(files *modeldir.Model, c nn.Config, o Options) (*nn.Weights[op.HostTensor], []string, error) {
	fail := func(err error) error {
		return fmt.Errorf("%s: %s: %w", container(files.Form), files.TensorsPath, err)
	}
	type job struct {
		p  nn.Param
		to *op.HostTensor
	}
	var jobs []job
	known := map[string]bool{}
	w := new(nn.Weights[op.HostTensor])
	nn.Walk(c, w, func(p nn.Param, t *op.HostTensor) {
		jobs = append(jobs, job{p, t})
		for _, name := range p.Names {
			known[name] = true
			if part, ok := files.Tensors.Tensor(name); ok && (part.DType == safetensors.U8 || part.DType == safetensors.I8) {
				known[name+scaleSuffix] = true
			}
		}
	})
	// All headers are compared before any weight is read, so that a wrong config is reported at once.
	for _, j := range jobs {
		if err := check(files.Tensors.Tensor, j.p); err != nil {
			if errors.Is(err, errMissing) && j.p.Names[0] == nn.HeadName {
				err = fmt.Errorf("%w, or tie_word_embeddings true in %s", err, files.ConfigPath)
			}
			return nil, nil, fail(err)
		}
	}
	ignored, err := strangers(files, known, c)
	if err != nil {
		return nil, nil, fail(err)
	}
	errs := make([]error, len(jobs))
	var next sync.Mutex
	at := 0
	take := func() int {
		next.Lock()
		defer next.Unlock()
		at++
		return at - 1
	}
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		all.Go(func() {
			for i := take(); i < len(jobs); i = take() {
				errs[i] = regular.Guard(func() (err error) {
					*jobs[i].to, err = readParam(files.Tensors.Tensor, jobs[i].p, c, o)
					return err
				})
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, nil, fail(err)
		}
	}
	return w, ignored, nil
}

// strangers lists tensors that are no part of the model, and refuses those whose names look as if they were.
func strangers(files *modeldir.Model, known map[string]bool, c nn.Config) (ignored []string, err error) {
	for _, name := range files.Tensors.Names() {
		switch {
		case known[name]:
		case name == nn.HeadName:
			return nil, fmt.Errorf("%s: got a head of its own, want none, because tie_word_embeddings is true in %s", name, files.ConfigPath)
		case strings.HasPrefix(name, "layers."), strings.HasPrefix(name, "embed."),
			strings.HasPrefix(name, "norm_f."), strings.HasPrefix(name, "lm_head."):
			return nil, fmt.Errorf("%s: found, but the config (num_layers %d, ttt_mixer %q) has no such tensor",
				name, c.Layers, c.Mixer)
		default:
			ignored = append(ignored, name)
		}
	}
	return ignored, nil
}

var errMissing = errors.New("the file has no such tensor")

// check compares the headers of a parameter's tensors with what is required.
func check(from source, p nn.Param) error {
	for _, name := range p.Names {
		t, ok := from(name)
		if !ok {
			return fmt.Errorf("%s: %w, want shape %s", name, errMissing, safetensors.FormatShape(p.PartShape()))
		}
		shape, scales := p.PartShape(), 0
		types := []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16}
		switch {
		case p.Kind == layer.Linear:
			types = append(types, safetensors.U8)
			if t.DType == safetensors.U8 {
				shape[1], scales = ternary.RowBytes(shape[1]), 1
			}
		case p.Kind == layer.Table:
			types = append(types, safetensors.I8)
			if t.DType == safetensors.I8 {
				scales = shape[0]
			}
		}
		if !slices.Contains(types, t.DType) {
			return fmt.Errorf("%s: got type %s, want %s", name, t.DType, listTypes(types))
		}
		if !slices.Equal(t.Shape, shape) {
			return wantShape(name, shape, t.Shape)
		}
		if scales == 0 {
			continue
		}
		s, ok := from(name + scaleSuffix)
		switch {
		case !ok:
			return fmt.Errorf("%s: type %s needs %s, but the file has no such tensor", name, t.DType, name+scaleSuffix)
		case s.DType != safetensors.F32:
			return fmt.Errorf("%s: got type %s, want F32", s.Name, s.DType)
		case !slices.Equal(s.Shape, []int{scales}):
			return wantShape(s.Name, []int{scales}, s.Shape)
		}
	}
	return nil
}

func wantShape(name string, want, got []int) error {
	return fmt.Errorf("%s: got shape %s, want %s", name, safetensors.FormatShape(got), safetensors.FormatShape(want))
}

func listTypes(types []safetensors.DType) string {
	var text strings.Builder
	for i, t := range types {
		switch {
		case i == len(types)-1:
			text.WriteString(" or ")
		case i > 0:
			text.WriteString(", ")
		}
		text.WriteString(string(t))
	}
	return text.String()
}

// readParam reads a parameter whose headers have been checked.
func readParam(from source, p nn.Param, c nn.Config, o Options) (op.HostTensor, error) {
	switch {
	case p.Kind == layer.Table:
		h, err := readTable(from, p)
		h.F16, h.I8 = slices.Clone(h.F16), slices.Clone(h.I8) // copied out of the mapped file, which may change while the model runs
		return h, err
	case p.Kind == layer.Linear && !o.Masters:
		return readTernary(from, p, c.WeightScale == nn.ScaleAbsmean)
	}
	h := op.HostTensor{Format: op.F32, Shape: p.Shape}
	for _, name := range p.Names {
		t, _ := from(name)
		if t.DType == safetensors.U8 {
			part, err := readPacked(from, t, p.PartShape()[1])
			if err != nil {
				return h, err
			}
			if t, err = unpack(t.Name, part); err != nil {
				return h, err
			}
		}
		v, err := floats(t)
		if err != nil {
			return h, err
		}
		if len(p.Names) == 1 {
			h.F32 = v
			return h, nil
		}
		h.F32 = append(slices.Grow(h.F32, op.Count(p.Shape)-len(h.F32)), v...)
	}
	return h, nil
}

// readTernary reads a Linear parameter packed, from floats or from packed tensors.
func readTernary(from source, p nn.Param, absmean bool) (op.HostTensor, error) {
	h := op.HostTensor{Format: op.Ternary, Shape: p.Shape, Absmean: absmean}
	rows, cols := p.PartShape()[0], p.PartShape()[1]
	size := rows * ternary.RowBytes(cols)
	for i, name := range p.Names {
		t, _ := from(name)
		packed := t.DType == safetensors.U8
		if h.Codes == nil && !(packed && len(p.Names) == 1) {
			h.Codes = make([]byte, size*len(p.Names))
		}
		var gamma float32
		if packed {
			part, err := readPacked(from, t, cols)
			if err != nil {
				return h, err
			}
			gamma = part.Scales[0]
			if h.Codes == nil {
				h.Codes = slices.Clone(part.Codes) // as in readParam
			} else {
				copy(h.Codes[i*size:], part.Codes)
			}
		} else {
			var err error
			if gamma, err = quantize(h.Codes[i*size:(i+1)*size], t, rows, cols); err != nil {
				return h, err
			}
		}
		h.Scales = append(h.Scales, gamma)
	}
	return h, nil
}

// readPacked takes a packed tensor (rows, ceil(cols/4)) and its γ without copying, and checks every code.
func readPacked(from source, t safetensors.Tensor, cols int) (op.HostTensor, error) {
	h := op.HostTensor{Format: op.Ternary, Shape: []int{t.Shape[0], cols}, Codes: t.Data}
	s, _ := from(t.Name + scaleSuffix)
	var err error
	if h.Scales, err = floats(s); err != nil {
		return h, err
	}
	if h.Scales[0] < ternary.MinGamma {
		return h, fmt.Errorf("%s: got %g, want a scale of at least %g", s.Name, h.Scales[0], ternary.MinGamma)
	}
	if err := ternary.Validate(t.Data, t.Shape[0], cols); err != nil {
		return h, fmt.Errorf("%s: %w", t.Name, err)
	}
	return h, nil
}

// readTable reads an embedding or head; F32, F16 and I8 keep their type, BF16 becomes F32.
func readTable(from source, p nn.Param) (op.HostTensor, error) {
	h := op.HostTensor{Format: op.F32, Shape: p.Shape}
	t, _ := from(p.Names[0])
	var err error
	switch t.DType {
	case safetensors.F16:
		h.Format, h.F16 = op.F16, halves(t.Data)
		for i, x := range h.F16 {
			if x&0x7c00 == 0x7c00 {
				return h, notFinite(t, i)
			}
		}
	case safetensors.I8:
		h.Format = op.I8
		if h.I8, err = t.Int8s(); err != nil {
			return h, err
		}
		s, _ := from(t.Name + scaleSuffix)
		h.Scales, err = floats(s)
	default:
		h.F32, err = floats(t)
	}
	return h, err
}

// halves returns little-endian 16-bit numbers, without a copy if byte order and alignment allow.
func halves(data []byte) []uint16 {
	at := unsafe.Pointer(unsafe.SliceData(data))
	if one := uint16(1); *(*byte)(unsafe.Pointer(&one)) == 1 && uintptr(at)%2 == 0 {
		return unsafe.Slice((*uint16)(at), len(data)/2)
	}
	out := make([]uint16, len(data)/2)
	for i := range out {
		out[i] = uint16(data[2*i]) | uint16(data[2*i+1])<<8
	}
	return out
}

// floats returns the elements of a float tensor, without a copy where possible, and refuses numbers that are not finite.
func floats(t safetensors.Tensor) ([]float32, error) {
	v, ok := t.FloatView()
	if !ok {
		var err error
		if v, err = t.Float32s(); err != nil {
			return nil, err
		}
	}
	if i := op.FirstNotFinite(v); i >= 0 {
		return nil, notFinite(t, i)
	}
	return v, nil
}

func notFinite(t safetensors.Tensor, element int) error {
	one := t
	size := t.DType.Size()
	one.Data = t.Data[element*size : (element+1)*size]
	v, err := one.Float32s()
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: element %d is %v, want finite numbers", t.Name, element, v[0])
}

var errTooLarge = errors.New("the weights are too large for a float32")
