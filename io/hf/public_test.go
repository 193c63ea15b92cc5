package hf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/io/trit"
)

// models is the folder of small public models that BITGPU_PUBLIC_MODELS names, each with the logits it must give.
func models(t *testing.T) string {
	dir := os.Getenv("BITGPU_PUBLIC_MODELS")
	if dir == "" {
		t.Skip("BITGPU_PUBLIC_MODELS does not name a folder of small public models")
	}
	return dir
}

func openGGUF(t *testing.T, parts ...string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(filepath.Join(append([]string{models(t)}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// weights are all rows of a tensor.
func weights(t *testing.T, m *ggml.Matrix) []float32 {
	t.Helper()
	all := make([]float32, m.Rows*m.Cols)
	for r := range m.Rows {
		if err := m.Floats(all[r*m.Cols:], r); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func matrixWeights(m *trit.Matrix) []float32 {
	all := make([]float32, m.Rows*m.Cols)
	for r := range m.Rows {
		m.Floats(all[r*m.Cols:], r)
	}
	return all
}

// Every file is read whole, and what is ternary can be written again with the same bytes.
func TestPublicGGUF(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(models(t), "*", "*.gguf"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files (%v)", len(paths), err)
	}
	for _, path := range paths {
		f, err := gguf.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, tensor := range f.Tensors() {
			m := tensor.Matrix()
			floats := weights(t, m)
			if !tensor.Layout.Ternary() {
				continue
			}
			codes, err := m.Ternary()
			if err != nil {
				t.Error(err)
				continue
			}
			if !slices.Equal(matrixWeights(codes), floats) {
				t.Errorf("%s: %s: codes times scales are other weights", path, tensor.Name)
			}
			data, err := ggml.Encode(tensor.Layout, codes)
			if err != nil || !bytes.Equal(data, tensor.Data) {
				t.Errorf("%s: %s: written as other bytes (%v)", path, tensor.Name, err)
			}
			want := map[bool]ggml.Layout{true: ggml.LayoutPQ2_0, false: tensor.Type.Layout()}[strings.Contains(path, "legacy")]
			if tensor.Layout != want {
				t.Errorf("%s: %s has the layout %v, want %v", path, tensor.Name, tensor.Layout, want)
			}
		}
		f.Close()
	}
}

// The same model in different layouts has the same weights.
func TestPublicTwins(t *testing.T) {
	for _, files := range [][]string{
		{"f_gguf/llama_tq1_0", "f_gguf/llama_tq2_0"}, {"f_gguf/bitnet_tq1_0", "f_gguf/bitnet_tq2_0"},
		{"f_gguf/qwen3_pq2_0", "f_gguf/qwen3_ptq1_0", "f_gguf/qwen3_q2_0_g64"}, {"c_qwen35_hadamard/model-PQ2_0", "c_qwen35_hadamard/model-PTQ1_0"},
		{"a_qwen3/model-PQ2_0", "a_qwen3/model-Q2_0", "a_qwen3/model-Q2_0-legacy-g128"},
		{"a_qwen3_yarn/model-PQ2_0", "a_qwen3_yarn/model-Q2_0", "a_qwen3_yarn/model-Q2_0-legacy-g128"},
		{"b_qwen35/model-PQ2_0", "b_qwen35/model-Q2_0", "b_qwen35/model-Q2_0-legacy-g128"},
	} {
		first := openGGUF(t, files[0]+".gguf")
		for _, file := range files[1:] {
			f := openGGUF(t, file+".gguf")
			if len(f.Tensors()) != len(first.Tensors()) {
				t.Errorf("%s has %d tensors, want %d", file, len(f.Tensors()), len(first.Tensors()))
			}
			for _, want := range first.Tensors() {
				got, ok := f.Tensor(want.Name)
				if !ok || !slices.Equal(weights(t, got.Matrix()), weights(t, want.Matrix())) {
					t.Errorf("%s: %s has other weights than in %s", file, want.Name, files[0])
				}
				if !want.Layout.Ternary() {
					continue
				}
				a, err1 := want.Matrix().Ternary()
				b, err2 := got.Matrix().Ternary()
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				if b.ColBlock < a.ColBlock && !b.Merge(a.ColBlock) {
					t.Errorf("%s: %s: groups of 64 that come in pairs cannot be merged", file, want.Name)
				}
				if !bytes.Equal(a.Codes, b.Codes) || !slices.Equal(a.Scales, b.Scales) {
					t.Errorf("%s: %s has other codes or scales than in %s", file, want.Name, files[0])
				}
			}
		}
	}
}

// ggufNames are the names of GGUF files for those of Hugging Face.
var ggufNames = strings.NewReplacer("model.embed_tokens", "token_embd", "model.norm", "output_norm", "lm_head", "output", "model.layers", "blk",
	"self_attn.q_norm", "attn_q_norm", "self_attn.k_norm", "attn_k_norm", "self_attn.q_proj", "attn_q", "self_attn.k_proj", "attn_k", "self_attn.v_proj", "attn_v",
	"self_attn.o_proj", "attn_output", "mlp.gate_proj", "ffn_gate", "mlp.up_proj", "ffn_up", "mlp.down_proj", "ffn_down", "input_layernorm", "attn_norm",
	"self_attn.attn_sub_norm", "attn_sub_norm", "mlp.ffn_sub_norm", "ffn_sub_norm",
	"linear_attn.in_proj_qkv", "attn_qkv", "linear_attn.in_proj_z", "attn_gate", "linear_attn.out_proj", "ssm_out", "post_attention_layernorm", "ffn_norm")

// Unpacked float16 models give the codes and scales of their GGUF twins. In b_qwen35 rows and columns of the value heads
// lie in another order, so only the others are compared.
func TestPublicUnpacked(t *testing.T) {
	for _, name := range []string{"a_qwen3", "a_qwen3_yarn", "b_qwen35"} {
		c := open(t, filepath.Join(models(t), name))
		f := openGGUF(t, name, "model-PQ2_0.gguf")
		compared := 0
		for _, tensor := range c.Names() {
			raw, _ := c.Tensor(tensor)
			twin, ok := f.Tensor(ggufNames.Replace(tensor))
			if len(raw.Shape) != 2 || !ok || slices.ContainsFunc([]string{"in_proj", "out_proj"}, func(s string) bool { return strings.Contains(tensor, s) }) {
				continue
			}
			got, err := c.Ternary(tensor)
			if err != nil {
				t.Error(err)
				continue
			}
			want, err := twin.Matrix().Ternary()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Codes, want.Codes) || !slices.Equal(got.Scales, want.Scales) || got.ColBlock != 128 {
				t.Errorf("%s: %s differs from the GGUF's", name, tensor)
			}
			compared++
		}
		if compared < 15 {
			t.Errorf("%s: only %d matrices compared", name, compared)
		}
		for _, tensor := range []string{"in_proj_qkv", "in_proj_z", "out_proj"} {
			if name == "b_qwen35" {
				if m, err := c.Ternary("model.layers.0.linear_attn." + tensor + ".weight"); err != nil || m.ColBlock != 128 {
					t.Errorf("%s: %v", tensor, err)
				}
			}
		}
	}
	_, err := open(t, filepath.Join(models(t), "b_qwen35")).Ternary("model.layers.0.linear_attn.in_proj_a.weight")
	wantError(t, err, "model.layers.0.linear_attn.in_proj_a.weight: is not ternary: row ")
}

// linears are the matrices of a layer.
var linears = []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}

// Masters become the codes of their packed twins, and scales as near as bfloat16 is.
func TestPublicMasters(t *testing.T) {
	for _, c := range []struct {
		packed, masters string
		read            func(*Checkpoint, string) (*trit.Matrix, error)
	}{
		{"a_bitnet_packed", "b_bitnet_bf16_online", (*Checkpoint).Ternary},
		{"e_falcon_e_packed", "e_falcon_e_prequantized", func(c *Checkpoint, name string) (*trit.Matrix, error) { return c.Quantize(name, HalfUp) }},
	} {
		packed, masters := open(t, filepath.Join(models(t), c.packed)), open(t, filepath.Join(models(t), c.masters))
		for layer := range 2 {
			for _, linear := range linears {
				name := fmt.Sprintf("model.layers.%d.%s.weight", layer, linear)
				want, err := packed.Ternary(name)
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.read(masters, name)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Codes, want.Codes) || math.Abs(float64(got.Scales[0]/want.Scales[0]-1)) > 1.0/128 {
					t.Errorf("%s: %s: other codes, or scale %v, want %v", c.masters, name, got.Scales[0], want.Scales[0])
				}
			}
		}
	}
}

// TriLM has a scale a shard: of rows, or of columns where the layer's input is split.
func TestPublicShards(t *testing.T) {
	c := open(t, filepath.Join(models(t), "d_trilm_unpacked"))
	for _, linear := range linears {
		m, err := c.Ternary("model.layers.1." + linear + ".weight")
		if err != nil {
			t.Fatal(err)
		}
		want := trit.PerRows
		if strings.HasSuffix(linear, "o_proj") || strings.HasSuffix(linear, "down_proj") {
			want = trit.PerColumns
		}
		if m.Granularity() != want || len(m.Scales) != 2 {
			t.Errorf("%s: %v with %d scales, want %v with 2", linear, m.Granularity(), len(m.Scales), want)
		}
	}
	_, err := c.Ternary("model.embed_tokens.weight")
	wantError(t, err, "is not ternary: row ")
}

// The weights that were read give the logits that were computed from them elsewhere, in float64.
func TestPublicLogits(t *testing.T) {
	for name, change := range map[string]func(*reference){
		"a_bitnet_packed": nil, "b_bitnet_bf16_online": nil, "c_llama_bitlinear_packed": nil, "d_trilm_unpacked": nil, "e_falcon_e_packed": nil, "a_qwen3": nil,
		"e_falcon_e_prequantized": func(r *reference) { r.roundInputs = func(x float64) float64 { return math.Floor(x + 0.5) } },
	} {
		c := open(t, filepath.Join(models(t), name))
		r := newReference(t, c)
		r.matrix = func(tensor string) ([]float32, bool) {
			raw, ok := c.Tensor(tensor)
			if !ok {
				return nil, false
			}
			if name == "a_qwen3" && len(raw.Shape) == 2 || slices.ContainsFunc(linears, func(l string) bool { return strings.Contains(tensor, l) }) {
				read := c.Ternary
				if name == "e_falcon_e_prequantized" {
					read = func(tensor string) (*trit.Matrix, error) { return c.Quantize(tensor, HalfUp) }
				}
				m, err := read(tensor)
				if err != nil {
					t.Fatal(err)
				}
				return matrixWeights(m), true
			}
			w, err := raw.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			return w, true
		}
		if change != nil {
			change(r)
		}
		r.compare(name, filepath.Join(models(t), name, "expected.safetensors"), 3e-6)
	}
	for _, name := range []string{"llama_tq1_0", "llama_tq2_0", "bitnet_tq1_0", "bitnet_tq2_0", "bitnet_b158_i2_s", "qwen3_q2_0_g64", "qwen3_pq2_0", "qwen3_ptq1_0"} {
		f := openGGUF(t, "f_gguf", name+".gguf")
		r := referenceOfGGUF(t, f)
		r.matrix = func(tensor string) ([]float32, bool) {
			found, ok := f.Tensor(ggufNames.Replace(tensor))
			if !ok {
				return nil, false
			}
			return weights(t, found.Matrix()), true
		}
		r.compare(name, filepath.Join(models(t), "f_gguf", name+".expected.safetensors"), 1e-11)
	}
}

// expectedFloats reads a tensor of float64, which the package of that name leaves out, and int32 ones too.
func expectedFloats(t *testing.T, path, name string) []float64 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	for i := range 8 {
		n |= uint64(data[i]) << (8 * i)
	}
	var header map[string]struct {
		DType   string
		Offsets []int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	part := data[8+int(n)+header[name].Offsets[0] : 8+int(n)+header[name].Offsets[1]]
	var out []float64
	for len(part) > 0 {
		bits, size := uint64(0), map[string]int{"F64": 8, "I32": 4}[header[name].DType]
		for i := range size {
			bits |= uint64(part[i]) << (8 * i)
		}
		if size == 8 {
			out = append(out, math.Float64frombits(bits))
		} else {
			out = append(out, float64(int32(bits)))
		}
		part = part[size:]
	}
	return out
}
