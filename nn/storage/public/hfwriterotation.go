package public

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"bitgpu/io/safetensors"
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// mlxGroup is how many inputs have one scale in MLX's form of Bonsai 2.
const mlxGroup = 128

// collectRotated lists the tensors of a model whose matrices expect a Hadamard transform of their input, in MLX's form.
func (w *hfWriter) collectRotated() error {
	const language = "language_model."
	signs, matrices := map[string]*piece{}, []*piece{}
	for _, x := range w.m.pieces() {
		n, rest := inLayer(x.name)
		x.file = language + TensorName(x.name)
		if matrices := signedBy[rest]; matrices != nil {
			for _, matrix := range matrices {
				if n >= 0 {
					matrix = fmt.Sprintf("layers.%d.%s", n, matrix)
				}
				signs[matrix+".weight"] = x
			}
			continue
		}
		if x.h.Format == op.Ternary {
			matrices = append(matrices, x)
			continue
		}
		if err := w.add(x, rest); err != nil {
			return err
		}
	}
	for _, x := range matrices {
		if err := w.addRotated(x, signs[x.name]); err != nil {
			return err
		}
		path := strings.TrimSuffix(strings.TrimPrefix(x.file, language), ".weight")
		w.modules = append(w.modules, map[string]any{
			"path": path, "embedding": x.name == "embed.weight", "dtype": "float16", "block": w.m.Decoder.Rotation,
		})
	}
	return nil
}

// addRotated appends what MLX has of a matrix: its codes, a scale and a bias for each group, which is −scale, and the signs of its
// input.
func (w *hfWriter) addRotated(x, signs *piece) error {
	if signs == nil {
		return fmt.Errorf("%s: got no signs, want those of its rotated input", x.name)
	}
	if x.group() != mlxGroup {
		return fmt.Errorf("%s: got a scale each %d inputs, want %d, which MLX's form of a rotated model has; .bitt has others", x.name, x.group(), mlxGroup)
	}
	for _, r := range x.order {
		for c := 0; c < x.cols; c += mlxGroup {
			if s := x.h.ScaleOf(r, c); float16.Fromfloat32(s).Float32() != s {
				return fmt.Errorf("%s: got the scale %v, want one that float16 has, as MLX's form of a rotated model; .bitt has others", x.name, s)
			}
		}
	}
	module := strings.TrimSuffix(x.file, ".weight")
	scales := func(factor float32) func(io.Writer) error {
		return func(out io.Writer) error {
			var data []byte
			for _, r := range x.order {
				for c := 0; c < x.cols; c += mlxGroup {
					data = binary.LittleEndian.AppendUint16(data, float16.Fromfloat32(factor*x.h.ScaleOf(r, c)).Bits())
				}
			}
			_, err := out.Write(data)
			return err
		}
	}
	shape := []int{len(x.order), x.cols / mlxGroup}
	w.tensors = append(w.tensors,
		safetensors.Source{Name: x.file, DType: safetensors.U32, Shape: []int{len(x.order), x.cols / 16}, Write: func(out io.Writer) error {
			_, err := out.Write(x.matrix().Codes) // sixteen in each little-endian word, the first one in its lowest bits
			return err
		}},
		safetensors.Source{Name: module + ".scales", DType: safetensors.F16, Shape: shape, Write: scales(1)},
		safetensors.Source{Name: module + ".biases", DType: safetensors.F16, Shape: shape, Write: scales(-1)},
		safetensors.Source{Name: module + ".signs", DType: safetensors.F32, Shape: []int{x.cols}, Write: func(out io.Writer) error {
			return signs.writeAs(out, false, nil)
		}})
	return nil
}

// rotatedConfig returns the content of config.json around that of the text model.
func (w *hfWriter) rotatedConfig(text map[string]any) map[string]any {
	c := map[string]any{
		"architectures": []string{"Qwen3_5ForConditionalGeneration"}, "model_type": mlxRotated, "text_config": text,
		"schema_version": 2, "base_model_type": "qwen3_5", "tensor_namespace": "mlx-vlm-qwen3_5", "gdn_activation_layout": "grouped",
		"quantization": map[string]any{"bits": 2, "group_size": mlxGroup, "mode": "affine"}, "modules": w.modules,
	}
	for _, key := range []string{"tie_word_embeddings", "vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"} {
		if v, ok := text[key]; ok {
			c[key] = v
		}
	}
	return c
}
