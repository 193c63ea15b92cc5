package public

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/nn"
	"bitgpu/nn/op"
)

// The tensors of a GGUF file that is written are, byte by byte, those that another program wrote of the same model.
func TestGGUFTensorsAreThoseOfOthers(t *testing.T) {
	dir := folder(t)
	for from, same := range map[string]struct{ file, typ string }{
		"a_qwen3":                             {"a_qwen3/model-PQ2_0.gguf", ""},
		"a_qwen3/model-Q2_0-legacy-g128.gguf": {"a_qwen3/model-Q2_0.gguf", "q2_0"},
		"a_qwen3_yarn":                        {"a_qwen3_yarn/model-PQ2_0.gguf", ""},
		"b_qwen35":                            {"b_qwen35/model-PQ2_0.gguf", ""},
		"b_qwen35/model-PQ2_0.gguf":           {"b_qwen35/model-Q2_0.gguf", "q2_0"},
		"c_qwen35_hadamard/model-PTQ1_0.gguf": {"c_qwen35_hadamard/model-PQ2_0.gguf", "pq2_0"},
		"f_gguf/llama_tq1_0.gguf":             {"f_gguf/llama_tq2_0.gguf", ""},
		"f_gguf/bitnet_tq1_0.gguf":            {"f_gguf/bitnet_tq2_0.gguf", "tq2_0"},
		"f_gguf/bitnet_b158_i2_s.gguf":        {"f_gguf/bitnet_b158_i2_s.gguf", ""},
		"f_gguf/qwen3_ptq1_0.gguf":            {"f_gguf/qwen3_pq2_0.gguf", ""},
	} {
		to := filepath.Join(t.TempDir(), "x.gguf")
		if err := open(t, filepath.Join(dir, from)).Export(to, ExportOptions{Type: same.typ}); err != nil {
			t.Errorf("%s: %v", from, err)
			continue
		}
		got, err := gguf.Open(to)
		if err != nil {
			t.Fatal(err)
		}
		want, err := gguf.Open(filepath.Join(dir, same.file))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Tensors()) != len(want.Tensors()) {
			t.Errorf("%s: got %d tensors, want %d", from, len(got.Tensors()), len(want.Tensors()))
		}
		for _, b := range want.Tensors() {
			a, ok := got.Tensor(b.Name)
			if a.Type == ggml.F32 && b.Type == ggml.BF16 { // as the directory has it
				a.Type, b.Data = b.Type, slices.Concat(wide(b.Data)...)
			}
			if !ok || a.Type != b.Type || !slices.Equal(a.Shape, b.Shape) || !bytes.Equal(a.Data, b.Data) {
				t.Errorf("%s: %s: got %v %v, want the bytes of %v %v in %s", from, b.Name, a.Type, a.Shape, b.Type, b.Shape, same.file)
			}
		}
		for _, key := range want.Keys() {
			a, ok := got.Value(key)
			b, _ := want.Value(key)
			if !ok {
				t.Logf("%s: the key %s is not written", from, key)
			} else if a.Type != b.Type || a.Elem != b.Elem || a.Len != b.Len {
				t.Errorf("%s: the key %s is %v of %d, want %v of %d", from, key, a.Type, a.Len, b.Type, b.Len)
			}
		}
		for _, key := range []string{"tokenizer.ggml.tokens", "tokenizer.ggml.merges"} {
			a, err1 := got.Texts(key)
			b, err2 := want.Texts(key)
			if !slices.Equal(a, b) || err1 != nil || err2 != nil {
				t.Errorf("%s: the key %s differs (%v, %v)", from, key, err1, err2)
			}
		}
		got.Close()
		want.Close()
	}
}

// wide are bfloat16s as float32s.
func wide(data []byte) (all [][]byte) {
	for pair := range slices.Chunk(data, 2) {
		all = append(all, []byte{0, 0, pair[0], pair[1]})
	}
	return all
}

// What a form cannot say is refused in a sentence.
func TestExportRefusals(t *testing.T) {
	models := decoders()
	odd := *models["qwen3"]
	odd.Rope.YaRN = nil
	odd.SubNorms = true
	floating := *models["llama with norms of each matrix"]
	floating.Int8 = false
	floats := func(m *Model) *Model {
		nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) {
			for i := range h.Scales {
				h.Scales[i] = 0.25
			}
			if p.Names[0] == "layers.0.mlp.down_proj.weight" {
				*h = op.HostTensor{Shape: p.Shape, F32: make([]float32, op.Count(p.Shape))}
				for i := range h.F32 {
					h.F32[i] = float32(i % 7)
				}
			}
		})
		return m
	}
	for _, c := range []struct {
		m         *Model
		to        string
		typ, want string
	}{
		{random(models["bitnet"], 0), "x.gguf", "tq2_0", "type TQ2_0 cannot say that the inputs of products are rounded to int8"},
		{random(models["bitnet"], 0), "x.gguf", "", "got several scales, want one: the type I2_S"},
		{random(models["bitnet"], 0), "x/", "", "with several scales"},
		{random(models["qwen3"], 0), "x.gguf", "i2_s", "type I2_S says that the inputs of products are rounded to int8"},
		{random(models["qwen3"], 32), "x.gguf", "", "got a scale for 32 inputs, want one for a multiple of 64 in type Q2_0"},
		{random(models["qwen3"], 32), "x/", "", "got a scale each 32 inputs, want 128 or all of a row"},
		{random(models["qwen3"], 64), "x.gguf", "pq2_0", "want one for a multiple of 128"},
		{random(models["qwen3"], 64), "x.gguf", "tq1_0", `type: got "tq1_0", want pq2_0, q2_0, tq2_0 or i2_s`},
		{random(models["qwen3"], 64), "x.bitt", "q2_0", `type: got "q2_0", which is for files that end in .gguf`},
		{random(models["qwen3"], 64), "x", "", "want a name that ends in .bitt or .gguf, or a directory"},
		{random(models["qwen3.5"], 0), "x/", "", "embed.weight: got a scale each 64 inputs, want 128"},
		{random(models["llama"], 0), "x/", "", "none of Llama 3.1's"},
		{random(models["llama with norms of each matrix"], 0), "x.gguf", "", "layers.0.self_attn.q_proj.rms_norm.weight: GGUF has no name for it"},
		{random(&floating, 0), "x/", "", "norms in front of linear layers: config.json has no place for them"},
		{floats(random(models["qwen3"], 0)), "x/", "", "layers.0.mlp.down_proj.weight: got F32, and it is not ternary: row 0, input 3 is 3, neither 0"},
		{floats(random(models["bitnet"], 0)), "x/", "", "layers.0.mlp.down_proj.weight: got F32, want ternary weights, which are packed where inputs are rounded to int8"},
		{random(&odd, 64), "x.gguf", "", "the architecture qwen3 of GGUF has other norms"},
	} {
		to := filepath.Join(t.TempDir(), c.to)
		if strings.HasSuffix(c.to, "/") {
			to += "/"
		}
		err := c.m.Export(to, ExportOptions{Type: c.typ})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", c.to, err, c.want)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(to), "*", "*")); len(left) > 0 {
			t.Errorf("%s: the refusal left %v behind", c.to, left)
		}
	}
}

// A directory is replaced as a whole: nothing of an older model is left, and files of other programs stay.
func TestHFDirectoryIsReplaced(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"model-00001-of-00002.safetensors", "model.safetensors.index.json", "chat_template.jinja", "tokenizer.json", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := random(decoders()["qwen3"], 128)
	if err := m.Export(dir, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"config.json", "generation_config.json", "model.safetensors", "notes.txt", "tokenizer_config.json"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	got, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	sameWeights(t, dir, got, m)
	if got.Chat.Templates["default"] != m.Chat.Templates["default"] || got.Chat.Tokens["bos_token"] != "<s>" {
		t.Errorf("got the template %v, want %v", got.Chat, m.Chat)
	}
	if err := os.Mkdir(filepath.Join(dir, "additional_chat_templates"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Export(dir, ExportOptions{}); err == nil || !strings.Contains(err.Error(), "templates of another model") {
		t.Errorf("got %v, want a refusal of the other templates", err)
	}
}
