package public

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/nn/storage/public/publictest"
)

// with gives the keys with one of another value, or without it where that is nil.
func with(keys []gguf.Key, name string, value any) []gguf.Key {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k gguf.Key) bool { return k.Name == name })
	if value == nil {
		return keys
	}
	return append(keys, gguf.Key{Name: name, Value: value})
}

// without gives the tensors without one, or with others in its place.
func without(tensors []gguf.Source, name string, others ...gguf.Source) []gguf.Source {
	tensors = slices.DeleteFunc(slices.Clone(tensors), func(t gguf.Source) bool { return t.Name == name })
	return append(tensors, others...)
}

func tensor(name string, kind ggml.Type, bytes int, shape ...int) gguf.Source {
	return gguf.Source{Name: name, Type: kind, Shape: shape, Write: gguf.Bytes(make([]byte, bytes))}
}

// What is wrong with a file is said in one sentence that names the file, the key or the tensor, what was found and what is known.
func TestGGUFRefusals(t *testing.T) {
	type change func(keys []gguf.Key, tensors []gguf.Source) ([]gguf.Key, []gguf.Source)
	key := func(name string, value any) change {
		return func(k []gguf.Key, t []gguf.Source) ([]gguf.Key, []gguf.Source) { return with(k, name, value), t }
	}
	keys := func(pairs ...any) change {
		return func(k []gguf.Key, t []gguf.Source) ([]gguf.Key, []gguf.Source) {
			for i := 0; i < len(pairs); i += 2 {
				k = with(k, pairs[i].(string), pairs[i+1])
			}
			return k, t
		}
	}
	swap := func(name string, others ...gguf.Source) change {
		return func(k []gguf.Key, t []gguf.Source) ([]gguf.Key, []gguf.Source) { return k, without(t, name, others...) }
	}
	notANumber := make([]byte, 4*publictest.Width)
	for i := range publictest.Width {
		copy(notANumber[4*i:], []byte{0, 0, 0xc0, 0x7f})
	}
	rotated := []any{
		"prism.hadamard.version", uint32(1), "prism.hadamard.block_size", uint32(128), "prism.hadamard.sign_mode", "identity",
		"prism.hadamard.tied_output", true, "prism.hadamard.weight_names", []string{}, "prism.hadamard.inverse_weight_names", []string{"token_embd.weight"},
	}
	hadamard := func(pairs ...any) change { return keys(slices.Concat(rotated, pairs)...) }
	for name, c := range map[string]struct {
		family string
		change change
		want   string
	}{
		"architecture":       {"qwen3", key("general.architecture", "mamba"), `general.architecture: got "mamba", want bitnet, bitnet-25, bitnet-b1.58, llama, qwen3 or qwen35`},
		"no architecture":    {"qwen3", key("general.architecture", nil), "general.architecture"},
		"a part":             {"qwen3", key("split.count", uint16(3)), "split.count: got one of 3 files, want all in one"},
		"a key is missing":   {"qwen3", key("qwen3.embedding_length", nil), "qwen3.embedding_length"},
		"a key of a type":    {"qwen3", key("qwen3.block_count", "two"), "qwen3.block_count"},
		"no heads":           {"qwen3", key("qwen3.attention.head_count", uint32(0)), "attention.head_count: got 0, want 1 or more"},
		"odd heads":          {"qwen3", key("qwen3.attention.head_count_kv", uint32(3)), "key and value heads: got 3, want a divisor of the 4 heads"},
		"value width":        {"qwen3", key("qwen3.attention.value_length", uint32(32)), "value_length: got 32, want 64"},
		"no layers":          {"qwen3", key("qwen3.block_count", uint32(0)), "layers: got 0, want 1 to 4096"},
		"many layers":        {"qwen3", key("qwen3.block_count", uint32(math.MaxUint32)), "layers: got 4294967295, want 1 to 4096"},
		"a layer too many":   {"qwen3", key("qwen3.block_count", uint32(3)), "blk.2.attn_norm.weight is missing"},
		"width":              {"qwen3", key("qwen3.embedding_length", uint32(512)), "token_embd.weight: got 258 × 256 weights, want rows of 512"},
		"context":            {"qwen3", key("qwen3.context_length", uint32(0)), "context: got 0, want 1 to"},
		"epsilon":            {"qwen3", key("qwen3.attention.layer_norm_rms_epsilon", float32(math.NaN())), "epsilon of the norms: got NaN, want a number between 0 and 1"},
		"base":               {"qwen3", key("qwen3.rope.freq_base", float32(0)), "base of the rotary embedding: got 0, want a number above 1"},
		"rope of more":       {"qwen3", key("qwen3.rope.dimension_count", uint32(65)), "width of the rotary embedding: got 65, want 1 to 64"},
		"rope of a part":     {"qwen3", key("qwen3.rope.dimension_count", uint32(32)), "rope.dimension_count: got 32 of 64 elements of a head, want all"},
		"rope scaling":       {"qwen3", key("qwen3.rope.scaling.type", "longrope"), `rope.scaling.type: got "longrope", want none, linear or yarn`},
		"rope factor":        {"qwen3", keys("qwen3.rope.scaling.type", "linear", "qwen3.rope.scaling.factor", float32(-1)), "rope.scaling.factor: got -1, want a number above 0"},
		"yarn attention":     {"qwen3", keys("qwen3.rope.scaling.type", "yarn", "qwen3.rope.scaling.factor", float32(4), "qwen3.rope.scaling.yarn_attn_factor", float32(2)), "yarn_attn_factor: got 2, want 1"},
		"yarn":               {"qwen3", keys("qwen3.rope.scaling.type", "yarn", "qwen3.rope.scaling.factor", float32(0.5)), "YaRN: got factor 0.5"},
		"no embedding":       {"qwen3", swap("token_embd.weight"), "token_embd.weight is missing"},
		"no norm":            {"qwen3", swap("blk.1.attn_q_norm.weight"), "blk.1.attn_q_norm.weight is missing"},
		"embedding":          {"qwen3", swap("token_embd.weight", tensor("token_embd.weight", ggml.F32, 1024, 256)), "token_embd.weight: got the shape [256], want two axes"},
		"three axes":         {"qwen3", swap("blk.0.attn_k.weight", tensor("blk.0.attn_k.weight", ggml.F32, 4*64*256, 64, 1, 256)), "blk.0.attn_k.weight: got the shape [64 1 256], want one or two axes"},
		"a head's bias":      {"qwen3", swap("", tensor("output.bias", ggml.F32, 4*258, 258)), "output.bias: got a tensor that no model of the family qwen3 has"},
		"long factors":       {"qwen3", swap("", tensor("rope_factors_long.weight", ggml.F32, 4*32, 32)), "rope_factors_long.weight: got a tensor that no model of the family qwen3 has"},
		"rows":               {"qwen3", swap("blk.0.attn_k.weight", tensor("blk.0.attn_k.weight", ggml.PQ2_0, 32*68, 32, 256)), "blk.0.attn_k.weight: got 32 rows, want 64"},
		"floats for ternary": {"qwen3", swap("blk.0.attn_k.weight", tensor("blk.0.attn_k.weight", ggml.F32, 4*64*256, 64, 256)), "blk.0.attn_k.weight: got floats, want ternary weights as in"},
		"binary":             {"qwen3", swap("blk.0.attn_k.weight", tensor("blk.0.attn_k.weight", ggml.Q1_0, 64*36, 64, 256)), "blk.0.attn_k.weight: type Q1_0"},
		"norm of a width":    {"qwen3", swap("output_norm.weight", tensor("output_norm.weight", ggml.F32, 4*128, 128)), "output_norm.weight: got 1 × 128, want floats of the shape [256]"},
		"not a number":       {"qwen3", swap("output_norm.weight", gguf.Source{Name: "output_norm.weight", Type: ggml.F32, Shape: []int{publictest.Width}, Write: gguf.Bytes(notANumber)}), "output_norm.weight: row 0, weight 0 is NaN, want a finite number"},
		"more tokens":        {"qwen3", swap("token_embd.weight", tensor("token_embd.weight", ggml.PQ2_0, 100*68, 100, 256)), "the tokenizer has 258 tokens, want at most the 100 rows of the embedding"},
		"tokenizer":          {"qwen3", key("tokenizer.ggml.pre", "klingon"), `tokenizer.ggml.pre is "klingon", want one of`},
		"no taps":            {"qwen35", key("qwen35.ssm.conv_kernel", nil), "qwen35.ssm.conv_kernel"},
		"many taps":          {"qwen35", key("qwen35.ssm.conv_kernel", uint32(1000)), "convolution of the recurrent layers: got 1000 taps, want 2 to 64"},
		"inner size":         {"qwen35", key("qwen35.ssm.inner_size", uint32(255)), "ssm.inner_size: got 255, want a multiple of the 2 heads"},
		"value heads":        {"qwen35", keys("qwen35.ssm.group_count", uint32(3)), "value heads of the recurrent layers: got 2, want a multiple of the 3 key heads"},
		"no key heads":       {"qwen35", keys("qwen35.ssm.group_count", uint32(0)), "key heads of the recurrent layers: got 0"},
		"interval":           {"qwen35", key("qwen35.full_attention_interval", uint32(0)), "full_attention_interval of 0"},
		"recurrent layers":   {"qwen35", key("qwen35.attention.recurrent_layers", []bool{true}), "attention.recurrent_layers: got 1"},
		"decay":              {"qwen35", swap("blk.0.ssm_a", tensor("blk.0.ssm_a", ggml.F32, 12, 3)), "ssm_a: got 3 numbers, want 2"},
		"Hadamard's version": {"qwen35", hadamard("prism.hadamard.version", uint32(3)), "prism.hadamard.version: got 3, want 1 or 2"},
		"Hadamard's key":     {"qwen35", hadamard("prism.hadamard.permutation", uint32(1)), "prism.hadamard.permutation is not known"},
		"Hadamard's block":   {"qwen35", hadamard("prism.hadamard.block_size", uint32(100)), "block of the Hadamard transform: got 100, want a power of two"},
		"Hadamard's change":  {"qwen35", hadamard("prism.hadamard.transform", "haar"), `prism.hadamard.transform: got "haar", want "normalized-sylvester-walsh-hadamard"`},
		"Hadamard's head":    {"qwen35", hadamard("prism.hadamard.tied_output", false), "prism.hadamard.tied_output: got false"},
		"Hadamard's signs":   {"qwen35", hadamard("prism.hadamard.sign_mode", "explicit"), "prism.hadamard.sign_widths"},
		"Hadamard's inverse": {"qwen35", hadamard("prism.hadamard.inverse_weight_names", []string{"x"}), "inverse_weight_names: got"},
		"Hadamard's names":   {"qwen35", hadamard(), "weight_names: got false, want true"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.gguf")
			keys, tensors := publictest.Parts(c.family)
			keys, tensors = c.change(keys, tensors)
			if err := gguf.WriteFile(path, keys, tensors); err != nil {
				t.Fatal(err)
			}
			refused(t, path, c.want)
		})
	}
}

// refused demands that a model is not opened, with one sentence that names its file and says why.
func refused(t *testing.T, path, want string) {
	t.Helper()
	_, err := Open(path, Options{})
	if err == nil {
		t.Fatalf("it was opened, want an error with %q", want)
	}
	t.Log(err)
	if text := err.Error(); !strings.Contains(text, want) || !strings.Contains(text, path) || strings.Contains(text, "\n") {
		t.Errorf("got %q, want one sentence that names %s and has %q", text, path, want)
	}
}

func TestTruncatedGGUF(t *testing.T) {
	whole, err := os.ReadFile(publictest.File(t, "qwen35"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{8, 24, 100, len(whole) / 4, len(whole) / 2, len(whole) - 1} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, path, "gguf: ")
	}
}

// hfConfigs are two configs that are right, of sizes that do not matter.
var hfConfigs = []string{
	`{"architectures":["LlamaForCausalLM"],"hidden_size":256,"intermediate_size":512,"num_hidden_layers":2,"num_attention_heads":4,
	"max_position_embeddings":64,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":32}}`,
	`{"architectures":["Qwen3_5ForConditionalGeneration"],"text_config":{"hidden_size":256,"intermediate_size":512,"num_hidden_layers":2,"num_attention_heads":4,
	"head_dim":64,"max_position_embeddings":64,"layer_types":["linear_attention","full_attention"],"linear_conv_kernel_dim":4,"linear_key_head_dim":64,
	"linear_value_head_dim":128,"linear_num_key_heads":1,"linear_num_value_heads":2,"rope_parameters":{"rope_type":"yarn","factor":4,"partial_rotary_factor":0.25}}}`,
}

func TestHFRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		config      int
		member      string // of the config, or of its text_config
		value, want string
	}{
		"architecture":     {0, "architectures", `["MambaForCausalLM"]`, `architectures: got ["MambaForCausalLM"] (model_type ""), want one of LlamaForCausalLM`},
		"bias":             {0, "attention_bias", `true`, "attention_bias or mlp_bias: got true, want false"},
		"sliding window":   {0, "use_sliding_window", `true`, "use_sliding_window: got true, want false"},
		"norms":            {0, "quantization_config", `{"use_rms_norm":true}`, `use_rms_norm: got true with the quant_method "", want false, or bitnet`},
		"norms' epsilon":   {0, "quantization_config", `{"quant_method":"bitnet","use_rms_norm":true,"rms_norm_eps":0}`, "quantization_config: rms_norm_eps: got 0, want a number between 0 and 1"},
		"a hybrid's norms": {1, "quantization_config", `{"quant_method":"bitnet","use_rms_norm":true}`, "norms in front of linear layers: got them in a model with a gated delta rule"},
		"activation":       {0, "hidden_act", `"gelu"`, `hidden_act: got "gelu", want silu or relu2`},
		"no activation":    {0, "hidden_act", `""`, `hidden_act: got "", want silu or relu2`},
		"activation nil":   {1, "hidden_act", `null`, `hidden_act: got null, want silu or relu2`},
		"a hybrid's act":   {1, "hidden_act", `"relu2"`, "hidden_act: got relu2, want silu"},
		"epsilon nil":      {1, "rms_norm_eps", `null`, `rms_norm_eps: got null, want a number`},
		"rope scaling":     {0, "rope_scaling", `{"type":"longrope","factor":4}`, `rope_scaling: got "longrope", want default, linear, yarn or llama3`},
		"linear":           {0, "rope_scaling", `{"type":"linear"}`, "rope_scaling: factor: got 0, want a number above 0"},
		"llama3":           {0, "rope_scaling", `{"rope_type":"llama3","factor":8}`, "rope_scaling: got factors 8, 0, 0 of 64 tokens"},
		"rope key":         {0, "rope_scaling", `{"type":"yarn","factor":4,"ramp":2}`, `rope_scaling: got the key "ramp", want one of rope_type, type`},
		"rope by kinds":    {0, "rope_scaling", `{"full_attention":{"rope_type":"yarn"}}`, `rope_scaling: got the key "full_attention"`},
		"attention":        {0, "rope_scaling", `{"type":"yarn","factor":4,"attention_factor":0}`, "attention_factor: got 0, want a number above 0"},
		"a window":         {0, "layer_types", `["full_attention","sliding_attention"]`, `layer_types: got ["full_attention" "sliding_attention"], want`},
		"half a head":      {0, "partial_rotary_factor", `0.5`, "partial_rotary_factor: got 32 of 64 elements of a head, want all"},
		"rotary part":      {0, "partial_rotary_factor", `2`, "partial_rotary_factor: got 2, want a number above 0, up to 1"},
		"kinds":            {1, "layer_types", `["mamba","full_attention"]`, `layer_types: got "mamba", want full_attention or linear_attention`},
		"a kind":           {1, "layer_types", `["full_attention"]`, "kinds of layers: got 1, want one for each of the 2 layers"},
		"heads":            {0, "num_attention_heads", `-1`, "heads: got -1, want 1 to"},
		"no heads":         {0, "num_attention_heads", `0`, "num_attention_heads: got none, or 0, want"},
		"no width":         {1, "hidden_size", `0`, "hidden_size: got none, or 0, want a whole number above 0"},
		"positions nil":    {0, "max_position_embeddings", `null`, "max_position_embeddings: got null, want a whole number"},
		"key heads":        {1, "linear_num_key_heads", `0`, "key heads of the recurrent layers: got 0"},
		"a word":           {0, "hidden_size", `"wide"`, "hidden_size"},
		"huge":             {0, "num_hidden_layers", `9007199254740993`, "layers: got 9007199254740993, want 1 to 4096"},
		"yarn":             {1, "rope_parameters", `{"rope_type":"yarn","factor":1e300}`, "YaRN: got factor 1e+300"},
	} {
		t.Run(name, func(t *testing.T) {
			var config map[string]json.RawMessage
			if err := json.Unmarshal([]byte(hfConfigs[c.config]), &config); err != nil {
				t.Fatal(err)
			}
			if inner, ok := config["text_config"]; ok {
				var text map[string]json.RawMessage
				if err := json.Unmarshal(inner, &text); err != nil {
					t.Fatal(err)
				}
				text[c.member] = json.RawMessage(c.value)
				config["text_config"], _ = json.Marshal(text)
			} else {
				config[c.member] = json.RawMessage(c.value)
			}
			data, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			d, _, err := parseHF(data)
			if err == nil {
				d.Vocab = 1
				err = d.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one sentence with %q", err, c.want)
			}
		})
	}
}

// What a config.json of Microsoft's BitNet leaves out is what transformers takes then, not what other families have.
func TestBitNetDefaults(t *testing.T) {
	d, _, err := parseHF([]byte(`{"architectures": ["BitNetForCausalLM"], "hidden_size": 320, "intermediate_size": 64, "num_attention_heads": 5, "num_hidden_layers": 1}`))
	if err != nil {
		t.Fatal(err)
	}
	if !d.Squared || d.Eps != 1e-5 || d.Rope.Theta != 500_000 || d.KVHeads != 5 {
		t.Errorf("got squared %v, epsilon %v, base %v, %d key and value heads", d.Squared, d.Eps, d.Rope.Theta, d.KVHeads)
	}
}

// A file that says which tokens end a text is read, or refused by its name: a model that misses its end goes on for ever.
func TestEnds(t *testing.T) {
	for value, want := range map[string][]uint32{`null`: nil, `5`: {5}, `[5, 6]`: {5, 6}, `-1`: nil} {
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			t.Fatal(err)
		}
		if ids, err := tokenIDs(v); err != nil || !slices.Equal(ids, want) {
			t.Errorf("%s: got %v, %v, want %v", value, ids, err, want)
		}
	}
	for _, v := range []any{"x", true, 1.5, []any{"x"}, map[string]any{}} {
		if ids, err := tokenIDs(v); err == nil {
			t.Errorf("%v: got %v, want an error", v, ids)
		}
	}
	for name, text := range map[string]string{"cut": "{", "a word": `{"eos_token_id": "x"}`, "a list": "[]"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := (&hfDir{dir: dir}).text(&Model{}, &hfConfig{})
		if err == nil || !strings.Contains(err.Error(), "generation_config.json: ") {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tokenizer.json":         `{"model": {"type": "BPE", "vocab": {"a": 0, "<over>": 1, "b": 2, "c": 3}, "merges": []}}`,
		"tokenizer_config.json":  `{"eos_token": {"content": "<over>"}}`,
		"generation_config.json": `{"eos_token_id": [2]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var m Model
	err := (&hfDir{dir: dir}).text(&m, &hfConfig{EOS: 3.0})
	if slices.Sort(m.Ends); err != nil || !slices.Equal(m.Ends, []uint32{1, 2, 3}) {
		t.Errorf("got the ends %v, %v, want those of all three files", m.Ends, err)
	}
}

// Each byte of the keys and of the tensors' list, changed in a few ways: an error, or a model.
func TestMutatedGGUF(t *testing.T) {
	path := publictest.File(t, "qwen35")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.Index(whole, []byte("qwen35.block_count")) // the tokenizer is another package's
	end := bytes.Index(whole, []byte("tokenizer.ggml.model"))
	mutated := filepath.Join(t.TempDir(), "m.gguf")
	step := 3
	for at := begin; at < end; at += step {
		for _, change := range []byte{1, 0x80} {
			data := bytes.Clone(whole)
			data[at] ^= change
			if err := os.WriteFile(mutated, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(mutated, Options{}); err != nil && (!strings.Contains(err.Error(), mutated) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("byte %d: %v: want one sentence that names the file", at, err)
			}
		}
	}
}
