package public

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// fileTypes are the values of general.file_type.
var fileTypes = map[ggml.Layout]uint32{ggml.LayoutTQ2_0: 37, ggml.LayoutI2_S: 40, ggml.LayoutQ2_0: 28, ggml.LayoutPQ2_0: 141}

// writeGGUF writes the model with llama.cpp's names and in its order of rows.
func (m *Model) writeGGUF(path string, o ExportOptions) error {
	pieces, signs, err := m.ggufPieces()
	if err != nil {
		return err
	}
	keys, err := m.ggufKeys()
	if err != nil {
		return err
	}
	var tensors []gguf.Source
	bytesOf := map[ggml.Layout]int{}
	var folded []string
	for _, x := range pieces {
		l, err := x.layout(m.Decoder.Int8, o)
		if err != nil {
			return err
		}
		if l.Ternary() {
			bytesOf[l] += len(x.order) * x.cols
		}
		if x.name != "embed.weight" && (l.Ternary() || x.kind == layer.Table) {
			folded = append(folded, x.file)
		}
		tensors = append(tensors, gguf.Source{Name: x.file, Type: l.Type(), Shape: x.shape(), Write: func(w io.Writer) error { return x.write(w, l) }})
	}
	if f := m.Decoder.Rope.Factors; f != nil {
		tensors = append(tensors, gguf.Source{Name: ropeFactors, Type: ggml.F32, Shape: []int{len(f)}, Write: func(w io.Writer) error {
			for _, x := range f {
				if err := binary.Write(w, binary.LittleEndian, float32(x)); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	if m.Decoder.Rotation > 0 {
		keys = append(keys, m.hadamardKeys(folded, signs)...)
	}
	most := ggml.LayoutPQ2_0
	for l, n := range bytesOf {
		if n > bytesOf[most] {
			most = l
		}
	}
	keys = append(keys, gguf.Key{Name: "general.file_type", Value: fileTypes[most]})
	return gguf.WriteFile(path, keys, tensors)
}

// ggufPieces returns the tensors of the file, and the signs of the Hadamard transform by width.
func (m *Model) ggufPieces() (all []*piece, signs map[int][]float32, err error) {
	d := m.Decoder
	signs = map[int][]float32{}
	for _, x := range m.pieces() {
		n, rest := inLayer(x.name)
		if strings.HasSuffix(rest, ".signs") {
			if old, ok := signs[len(x.h.F32)]; ok && !slices.Equal(old, x.h.F32) {
				return nil, nil, fmt.Errorf("%s: got other signs than another vector of %d has, want the same: GGUF has one for each width", x.name, len(old))
			}
			signs[len(x.h.F32)] = x.h.F32
			continue
		}
		file, ok := ggufNames[rest]
		if rest == "norm2.weight" && d.Family == "qwen3.5" {
			file = "post_attention_norm.weight"
		}
		if n >= 0 {
			file = fmt.Sprintf("blk.%d.%s", n, file)
		}
		if !ok {
			return nil, nil, fmt.Errorf("%s: GGUF has no name for it", x.name)
		}
		x.file = file
		x.arrange(d, rest)
		if err := x.checkColumns(); err != nil {
			return nil, nil, err
		}
		all = append(all, x)
	}
	return all, signs, nil
}

// arrange is the inverse of the reader's: it puts rows and columns into GGUF's order.
func (x *piece) arrange(d *arch.Decoder, rest string) {
	switch {
	case rest == "self_attn.q_proj.weight" && d.Family == "llama":
		x.move(apart(d.Heads, d.HeadWidth))
	case rest == "self_attn.k_proj.weight" && d.Family == "llama":
		x.move(apart(d.KVHeads, d.HeadWidth))
	}
	r := d.Recurrent
	if r == nil {
		return
	}
	heads, before := grouped(r.KeyHeads, r.Heads), 2*r.KeyHeads*r.KeyWidth
	switch rest {
	case "linear_attn.in_proj_qkv.weight", "linear_attn.conv1d.weight":
		x.move(blocksOf(heads, r.ValueWidth, before))
	case "linear_attn.in_proj_z.weight":
		x.move(blocksOf(heads, r.ValueWidth, 0))
	case "linear_attn.in_proj_b.weight", "linear_attn.in_proj_a.weight", "linear_attn.decay", "linear_attn.dt_bias":
		x.move(heads)
	case "linear_attn.out_proj.weight":
		if d.Rotation == 0 {
			x.moveColumns(heads, r.ValueWidth)
		}
	}
}

// layout returns the type of a tensor in the file: floats keep theirs, ternary weights get one that can hold their scales.
func (x *piece) layout(int8 bool, o ExportOptions) (ggml.Layout, error) {
	if _, ok := x.h.Format.Quants(); ok || x.h.Format == op.F32 {
		return ggml.LayoutF32, nil
	}
	switch x.h.Format {
	case op.F16:
		return ggml.LayoutF16, nil
	case op.BF16:
		return ggml.LayoutBF16, nil
	}
	l, given := ggufTypes[o.Type]
	switch {
	case given && int8 && l != ggml.LayoutI2_S:
		return 0, fmt.Errorf("type %s cannot say that the inputs of products are rounded to int8, as this model was trained: want i2_s", l)
	case given && !int8 && l == ggml.LayoutI2_S:
		return 0, fmt.Errorf("type %s says that the inputs of products are rounded to int8, which this model does not do: want another", l)
	case given:
	case int8:
		l = ggml.LayoutI2_S
	case x.group()%256 == 0:
		l = ggml.LayoutTQ2_0
	case x.group()%128 == 0:
		l = ggml.LayoutPQ2_0
	default:
		l = ggml.LayoutQ2_0
	}
	if _, one := x.oneScale(); l == ggml.LayoutI2_S && !one {
		return 0, fmt.Errorf("%s: got several scales, want one: the type I2_S, which int8 inputs need, has no place for more", x.file)
	}
	if n, _ := l.Block(); l != ggml.LayoutI2_S && x.group()%n != 0 {
		return 0, fmt.Errorf("%s: got a scale for %d inputs, want one for a multiple of %d in type %s", x.file, x.group(), n, l)
	}
	if _, err := l.Bytes(len(x.order), x.cols); err != nil {
		return 0, fmt.Errorf("%s: %w", x.file, err)
	}
	return l, x.checkHalves(l)
}

// checkHalves refuses scales that float16 cannot hold exactly.
func (x *piece) checkHalves(l ggml.Layout) error {
	if l == ggml.LayoutI2_S || x.h.Group > 0 {
		return nil
	}
	for i, r := range x.order {
		if s := x.h.ScaleOf(r, 0); float16.Fromfloat32(s).Float32() != s {
			return fmt.Errorf("%s: row %d has the scale %v, want one that a float16 holds: type %s has no place for another", x.file, i, s, l)
		}
	}
	return nil
}

// write writes the tensor's bytes.
func (x *piece) write(w io.Writer, l ggml.Layout) error {
	if l.Ternary() {
		data, err := ggml.Encode(l, x.matrix())
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}
	return x.writeAs(w, false, nil)
}
