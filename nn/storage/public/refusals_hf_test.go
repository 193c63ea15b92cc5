package public

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/hf"
	"bitgpu/io/safetensors"
)

const smallConfig = `{"architectures":["Qwen3ForCausalLM"],"hidden_size":256,"intermediate_size":256,"num_hidden_layers":1,"num_attention_heads":4,
	"num_key_value_heads":2,"head_dim":64,"max_position_embeddings":64,"tie_word_embeddings":true}`

// smallDir are the tensors of a directory with one layer, ternary as floats.
func smallDir() map[string]safetensors.Tensor {
	r := rand.New(rand.NewPCG(1, 2))
	all := map[string]safetensors.Tensor{}
	add := func(name string, value func() float32, shape ...int) {
		n := 1
		for _, length := range shape {
			n *= length
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = value()
		}
		all[name] = safetensors.FromFloat32s(name, shape, values)
	}
	trit := func() float32 { return float32(r.IntN(3)-1) / 16 }
	one := func() float32 { return 1 }
	add("model.embed_tokens.weight", trit, 300, 256)
	add("model.norm.weight", one, 256)
	for name, rows := range map[string]int{"self_attn.q_proj": 256, "self_attn.k_proj": 128, "self_attn.v_proj": 128, "self_attn.o_proj": 256, "mlp.gate_proj": 256, "mlp.up_proj": 256, "mlp.down_proj": 256} {
		add("model.layers.0."+name+".weight", trit, rows, 256)
	}
	for name, n := range map[string]int{"input_layernorm": 256, "post_attention_layernorm": 256, "self_attn.q_norm": 64, "self_attn.k_norm": 64} {
		add("model.layers.0."+name+".weight", one, n)
	}
	return all
}

// writeDir writes a directory as Hugging Face has them.
func writeDir(t *testing.T, config string, tensors map[string]safetensors.Tensor) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var list []safetensors.Tensor
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		list = append(list, tensors[name])
	}
	if err := safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), list, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestHFDirectoryRefusals(t *testing.T) {
	if _, err := Open(writeDir(t, smallConfig, smallDir()), Options{}); err != nil {
		t.Fatal(err)
	}
	replace := func(name string, shape ...int) func(map[string]safetensors.Tensor) {
		return func(all map[string]safetensors.Tensor) {
			n := 1
			for _, length := range shape {
				n *= length
			}
			all[name] = safetensors.FromFloat32s(name, shape, make([]float32, n))
		}
	}
	remove := func(name string) func(map[string]safetensors.Tensor) {
		return func(all map[string]safetensors.Tensor) { delete(all, name) }
	}
	noise := func(name string, shape ...int) func(map[string]safetensors.Tensor) {
		return func(all map[string]safetensors.Tensor) {
			values := make([]float32, shape[0]*shape[1])
			for i := range values {
				values[i] = rand.Float32()
			}
			all[name] = safetensors.FromFloat32s(name, shape, values)
		}
	}
	for name, c := range map[string]struct {
		config, with string // a part of the config and what stands there instead
		change       func(map[string]safetensors.Tensor)
		want         string
	}{
		"no embedding":   {"", "", remove("model.embed_tokens.weight"), "no tensor is called model.embed_tokens.weight"},
		"no projection":  {"", "", remove("model.layers.0.mlp.up_proj.weight"), "model.layers.0.mlp.up_proj.weight is missing"},
		"no norm":        {"", "", remove("model.norm.weight"), "model.norm.weight is missing"},
		"a layer more":   {`"num_hidden_layers":1`, `"num_hidden_layers":2`, nil, "model.layers.1."},
		"no head":        {`"tie_word_embeddings":true`, `"tie_word_embeddings":false`, nil, "lm_head.weight is missing, and config.json does not say that it is tied"},
		"another head":   {"", "", noise("lm_head.weight", 128, 256), "lm_head.weight is not the embedding, and config.json says that they are tied"},
		"a norm's shape": {"", "", replace("model.norm.weight", 128), "model.norm.weight: got 1 × 128, want floats of the shape [256]"},
		"a norm's bias":  {"", "", replace("model.norm.bias", 256), "model.norm.bias: got a bias, want none"},
		"rows":           {"", "", replace("model.layers.0.mlp.down_proj.weight", 128, 256), "model.layers.0.mlp.down_proj.weight: got 128 rows, want 256"},
		"columns":        {"", "", replace("model.layers.0.mlp.down_proj.weight", 256, 128), "model.layers.0.mlp.down_proj.weight: got 256 × 128 weights, want rows of 256"},
		"a vector":       {"", "", replace("model.layers.0.mlp.down_proj.weight", 256), "model.layers.0.mlp.down_proj.weight: got 1 rows, want 256"},
		"masters":        {"", "", noise("model.layers.0.mlp.down_proj.weight", 256, 256), `the option masters says how it rounds them: "half-up" (Falcon-E's) or "half-even"`},
		"another method": {`"head_dim"`, `"quantization_config":{"quant_method":"awq"},"head_dim"`, nil, `quant_method "awq" is not supported, want bitnet`},
		"not JSON":       {`"head_dim":64`, `"head_dim":`, nil, "config.json"},
	} {
		t.Run(name, func(t *testing.T) {
			tensors := smallDir()
			if c.change != nil {
				c.change(tensors)
			}
			refused(t, writeDir(t, strings.Replace(smallConfig, c.config, c.with, 1), tensors), c.want)
		})
	}
	dir := writeDir(t, smallConfig, smallDir())
	file := filepath.Join(dir, "model.safetensors")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "model.safetensors")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "neither model.safetensors nor model.safetensors.index.json is here")
}

// Masters are rounded where the caller says so, and the model then rounds its activations too.
func TestMasters(t *testing.T) {
	tensors := smallDir()
	name := "model.layers.0.mlp.down_proj.weight"
	values := make([]float32, 256*256)
	for i := range values {
		values[i] = rand.Float32() - 0.5
	}
	tensors[name] = safetensors.FromFloat32s(name, []int{256, 256}, values)
	for _, norm := range []string{"q_norm", "k_norm"} { // which the family llama has not
		delete(tensors, "model.layers.0.self_attn."+norm+".weight")
	}
	for _, rounding := range []hf.Rounding{hf.HalfUp, hf.HalfEven} {
		m, err := Open(writeDir(t, strings.Replace(smallConfig, "Qwen3For", "LlamaFor", 1), tensors), Options{Masters: &rounding})
		if err != nil || !m.Decoder.Int8 {
			t.Errorf("rounding %v: got %+v, %v", rounding, m, err)
		}
	}
}
