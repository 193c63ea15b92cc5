package public

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/hf"
	"bitgpu/io/modeldir"
	"bitgpu/io/safetensors"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// hfWriter makes the tensors of a directory in Hugging Face's form.
type hfWriter struct {
	m       *Model
	floats  safetensors.DType // type of ternary weights that are not packed
	scale   safetensors.DType // type of the scales of packed weights
	divides bool              // the scale divides a product instead of multiplying it
	tensors []safetensors.Source
	modules []map[string]any // of config.json, of a model whose matrices expect a rotated input
}

// writeHF writes a directory. It removes the files of an older model there.
func (m *Model) writeHF(dir string) error {
	w := &hfWriter{m: m}
	if err := w.collect(); err != nil {
		return err
	}
	config, err := w.config()
	if err != nil {
		return err
	}
	files := map[string]any{modeldir.ConfigName: config}
	if m.TokenizerJSON != nil {
		files[modeldir.TokenizerName] = m.TokenizerJSON
	}
	if len(m.Chat.Templates) > 0 || len(m.Chat.Tokens) > 0 || m.TokenizerJSON != nil {
		files["tokenizer_config.json"] = m.tokenizerConfig()
	}
	if len(m.Ends) > 0 {
		files["generation_config.json"] = map[string]any{"eos_token_id": m.Ends}
	}
	return w.write(dir, files)
}

// old returns the names of files that another model may have left in the directory.
func old(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		shard := strings.HasPrefix(name, "model-") && strings.HasSuffix(name, ".safetensors")
		known := []string{"chat_template.jinja", safetensors.IndexName, modeldir.TokenizerName, "tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"}
		if name == "additional_chat_templates" {
			return nil, fmt.Errorf("%s has templates of another model: want them taken away first", filepath.Join(dir, name))
		}
		if shard || slices.Contains(known, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (w *hfWriter) write(dir string, files map[string]any) error {
	remove, err := old(dir)
	if err != nil {
		return err
	}
	set, err := atomicfile.CreateSet(dir)
	if err != nil {
		return err
	}
	defer set.Discard()
	for name, content := range files {
		data, ok := content.(json.RawMessage)
		if !ok {
			if data, err = readable(content); err != nil {
				return err
			}
		}
		if err := set.Write(name, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
			return err
		}
	}
	err = set.Write(modeldir.TensorsName, func(out io.Writer) error {
		return safetensors.WriteSources(out, w.tensors, map[string]string{"format": "pt"})
	})
	if err != nil {
		return err
	}
	set.Guard(modeldir.ConfigName, nil) // other programs read the directory, too, and begin with it
	return set.Commit(slices.DeleteFunc(remove, func(name string) bool { return files[name] != nil })...)
}

// readable returns indented JSON for people to read.
func readable(content any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(content)
	return out.Bytes(), err
}

// collect chooses how scales are stored and lists the tensors.
func (w *hfWriter) collect() error {
	d := w.m.Decoder
	if d.Rotation > 0 {
		return w.collectRotated()
	}
	pieces := w.m.pieces()
	if err := w.chooseTypes(pieces); err != nil {
		return err
	}
	for _, x := range pieces {
		_, rest := inLayer(x.name)
		x.file = TensorName(x.name)
		if err := w.add(x, rest); err != nil {
			return err
		}
	}
	return nil
}

// packed reports whether a piece is written as one of BitNet's packed matrices.
func (w *hfWriter) packed(x *piece) bool {
	return w.m.Decoder.Int8 && x.h.Format == op.Ternary && x.kind != layer.Table
}

// chooseTypes chooses the narrowest types that change no weight.
func (w *hfWriter) chooseTypes(pieces []*piece) error {
	w.floats, w.scale = safetensors.F16, safetensors.BF16
	multiplies, divides := true, true // whether each works with a scale in bfloat16, without rounding
	for _, x := range pieces {
		switch {
		case x.h.Format != op.Ternary:
		case w.packed(x):
			s, one := x.oneScale()
			if !one || len(x.order)%4 != 0 || !(s > 0) {
				return fmt.Errorf("%s: got %d rows with several scales, or one that is not above 0, want a multiple of 4 and one scale: BitNet's packed form has no place for more",
					x.name, len(x.order))
			}
			multiplies = multiplies && bf16Of(s) == s
			divides = divides && float32(1/float64(bf16Of(float32(1/float64(s))))) == s
		default:
			for _, r := range x.order {
				for c := 0; c < x.cols; c += x.group() {
					if s := x.h.ScaleOf(r, c); float16.Fromfloat32(s).Float32() != s {
						w.floats = safetensors.F32
					}
				}
			}
		}
	}
	if !multiplies && divides {
		w.divides = true
	} else if !multiplies {
		w.scale = safetensors.F32
	}
	return nil
}

// bf16Of rounds to the nearest bfloat16, ties to even.
func bf16Of(x float32) float32 {
	bits := math.Float32bits(x)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// add appends the tensors of a piece.
func (w *hfWriter) add(x *piece, rest string) error {
	t := safetensors.Source{Name: x.file, Shape: x.shape()}
	switch {
	case w.packed(x):
		quarter := len(x.order) / 4
		t.DType, t.Shape = safetensors.U8, []int{quarter, x.cols}
		t.Write = func(out io.Writer) error { return x.writePacked(out, quarter) }
		s, _ := x.oneScale()
		if w.divides {
			s = float32(1 / float64(s))
		}
		data := binary.LittleEndian.AppendUint32(nil, math.Float32bits(bf16Of(s)))[2:]
		if w.scale == safetensors.F32 {
			data = binary.LittleEndian.AppendUint32(nil, math.Float32bits(s))
		}
		w.tensors = append(w.tensors, safetensors.Source{
			Name: strings.TrimSuffix(x.file, ".weight") + ".weight_scale", DType: w.scale, Shape: []int{1},
			Write: func(out io.Writer) error { _, err := out.Write(data); return err },
		})
	case x.h.Format == op.Ternary:
		t.DType = w.floats
		if err := x.findable(); err != nil {
			return err
		}
		t.Write = func(out io.Writer) error { return x.writeFloats(out, w.floats) }
	default:
		if x.kind == layer.Linear && !mayBeFloat(rest) && w.m.Decoder.Masters == nil {
			if err := x.ternaryFloats(w.m.Decoder.Int8); err != nil {
				return err
			}
		}
		t.DType = safetensors.F32
		if half, ok := map[op.Format]safetensors.DType{op.F16: safetensors.F16, op.BF16: safetensors.BF16}[x.h.Format]; ok {
			t.DType = half
		}
		mlx := w.m.Decoder.Rotation > 0
		switch {
		case rest == "linear_attn.conv1d.weight" && mlx:
			t.Shape = []int{len(x.order), x.cols, 1}
		case rest == "linear_attn.conv1d.weight":
			t.Shape = []int{len(x.order), 1, x.cols}
		}
		write, read := storedAs(w.m.Decoder, x.name, mlx)
		double := write != nil && !mlx && !x.exact(write, read) // MLX computes in float32 at most
		if double {
			t.DType = safetensors.F64
		}
		t.Write = func(out io.Writer) error { return x.writeAs(out, double, write) }
	}
	w.tensors = append(w.tensors, t)
	return nil
}

// exact reports whether numbers that are stored in float32 as write says are read as they were.
func (x *piece) exact(write, read func(float64) float64) bool {
	row := make([]float32, x.cols)
	for _, r := range x.order {
		x.h.Floats(row, r)
		for _, v := range row {
			if float32(read(float64(float32(write(float64(v)))))) != v {
				return false
			}
		}
	}
	return true
}

// findable refuses float weights from which a reader could not recover the scales.
func (x *piece) findable() error {
	if x.h.Group == 0 || x.h.Group%128 == 0 {
		return nil
	}
	if err := x.unpacked(x.matrix().Floats); err != nil {
		return fmt.Errorf("%s: got a scale each %d inputs, want 128 or all of a row: in floats others are not found again", x.name, x.h.Group)
	}
	return nil
}

// ternaryFloats refuses float matrices of layers that are not ternary, for a reader of the directory could not know that they are meant.
func (x *piece) ternaryFloats(int8 bool) error {
	if int8 {
		return fmt.Errorf("%s: got %v, want ternary weights, which are packed where inputs are rounded to int8; .bitt has others", x.name, x.h.Format)
	}
	if err := x.unpacked(func(row []float32, r int) { x.h.Floats(row, x.order[r]) }); err != nil {
		return fmt.Errorf("%s: got %v, and it %w; a directory of such is refused when it is read, .bitt has them", x.name, x.h.Format, err)
	}
	return nil
}

// unpacked returns an error if the matrix, as floats that row writes by their rows, is not found to be ternary.
func (x *piece) unpacked(row func(dst []float32, r int)) error {
	t := safetensors.Tensor{Name: x.file, DType: safetensors.F32, Shape: x.shape()}
	values := make([]float32, x.cols)
	for r := range x.order {
		row(values, r)
		for _, v := range values {
			t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
		}
	}
	_, err := hf.Unpacked(t)
	return err
}

// writePacked writes BitNet's bytes, each with one code from each quarter of the rows.
func (x *piece) writePacked(out io.Writer, quarter int) error {
	m := x.matrix()
	line := make([]byte, x.cols)
	for r := range quarter {
		clear(line)
		for part := range 4 {
			row := m.Row(part*quarter + r)
			for c := range line {
				line[c] |= row[c/4] >> (2 * (c % 4)) & 3 << (2 * part)
			}
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// writeFloats writes codes times scales.
func (x *piece) writeFloats(out io.Writer, dtype safetensors.DType) error {
	m := x.matrix()
	var data []byte
	for r := range m.Rows {
		row := m.Row(r)
		data = data[:0]
		for c := 0; c < m.Cols; c += m.ColBlock {
			s := m.Scale(r, c)
			wide := [4]uint32{math.Float32bits(-s), 0, math.Float32bits(s)} // indexed by code
			half := [4]uint16{float16.Fromfloat32(-s).Bits(), 0, float16.Fromfloat32(s).Bits()}
			for i := c; i < c+m.ColBlock; i++ {
				code := row[i/4] >> (2 * (i % 4)) & 3
				if dtype == safetensors.F16 {
					data = binary.LittleEndian.AppendUint16(data, half[code])
				} else {
					data = binary.LittleEndian.AppendUint32(data, wide[code])
				}
			}
		}
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// writeAs writes floats: 16-bit ones as they are, 32-bit ones after write, if it is not nil, has changed them, in float64 if wanted.
func (x *piece) writeAs(out io.Writer, double bool, write func(float64) float64) error {
	var data []byte
	row := make([]float32, x.cols)
	for _, r := range x.order {
		data = data[:0]
		if x.h.F16 != nil {
			for _, bits := range x.h.F16[r*x.cols : (r+1)*x.cols] {
				data = binary.LittleEndian.AppendUint16(data, bits)
			}
		} else {
			x.h.Floats(row, r)
			for _, v := range row {
				y := float64(v)
				if write != nil {
					y = write(y)
				}
				if double {
					data = binary.LittleEndian.AppendUint64(data, math.Float64bits(y))
				} else {
					data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(y)))
				}
			}
		}
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
	return nil
}
