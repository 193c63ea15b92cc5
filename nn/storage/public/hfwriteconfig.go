package public

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"bitgpu/nn/arch"
)

// hfArchitectures maps families to their architecture and model_type in config.json.
var hfArchitectures = map[string][2]string{
	"llama": {"LlamaForCausalLM", "llama"}, "bitnet": {"BitNetForCausalLM", "bitnet"},
	"qwen3": {"Qwen3ForCausalLM", "qwen3"}, "qwen3.5": {"Qwen3_5ForCausalLM", "qwen3_5_text"},
}

// config returns the content of config.json.
func (w *hfWriter) config() (map[string]any, error) {
	d := w.m.Decoder
	architecture, ok := hfArchitectures[d.Family]
	hybrid := d.Family == "qwen3.5"
	switch {
	case !ok:
		return nil, fmt.Errorf("the family %q has no class in transformers", d.Family)
	case d.SubNorms != (d.Family == "bitnet"), d.HeadNorms != (hybrid || d.Family == "qwen3"), d.Gated && !hybrid, (d.Recurrent != nil) != hybrid:
		return nil, fmt.Errorf("%s of transformers has other norms or gates than this model", architecture[0])
	}
	activation := "silu"
	if d.Squared {
		activation = "relu2"
	}
	c := map[string]any{
		"architectures": []string{architecture[0]}, "model_type": architecture[1], "vocab_size": d.Vocab, "hidden_size": d.Width,
		"intermediate_size": d.MLP, "num_hidden_layers": d.Layers, "num_attention_heads": d.Heads, "num_key_value_heads": d.KVHeads,
		"head_dim": d.HeadWidth, "max_position_embeddings": d.Context, "rms_norm_eps": d.Eps, "hidden_act": activation,
		"tie_word_embeddings": d.Tied, "attention_bias": false, "attention_dropout": 0.0, "use_cache": true,
		"torch_dtype": map[bool]string{true: "bfloat16", false: "float16"}[d.Int8],
	}
	if w.floats == "F32" || d.Masters != nil {
		c["torch_dtype"] = "float32"
	}
	switch {
	case d.Masters != nil && d.Masters.Group > 0:
		c["bitgpu_masters"] = d.Masters
	case d.Masters != nil:
		c["quantization_config"] = quantization(d, "autobitlinear", "online")
	case d.Int8 && w.divides:
		c["quantization_config"] = quantization(d, "bitlinear", "offline")
	case d.Int8:
		c["quantization_config"] = quantization(d, "autobitlinear", "offline")
	case d.LinearNormEps > 0:
		return nil, errors.New("norms in front of linear layers: config.json has no place for them in a model whose linear layers do not round their inputs")
	}
	if w.m.Tokenizer != nil {
		special, err := w.m.specialIDs()
		if err == nil {
			for name, key := range map[string]string{"bos": "bos_token_id", "eos": "eos_token_id", "padding": "pad_token_id"} {
				if id, ok := special[name]; ok {
					c[key] = id
				}
			}
		}
	}
	rope, err := hfRopeOf(d.Rope)
	if err != nil {
		return nil, err
	}
	partial, err := share(d.Rope.Width, d.HeadWidth)
	if err != nil {
		return nil, err
	}
	if !hybrid {
		c["rope_theta"] = d.Rope.Theta
		c["rope_scaling"] = rope
		if partial != 1 {
			c["partial_rotary_factor"] = partial
		}
		return c, nil
	}
	if rope == nil {
		rope = map[string]any{"rope_type": "default"}
	}
	n := d.Rope.Width / 2
	rope["rope_theta"], rope["partial_rotary_factor"] = d.Rope.Theta, partial
	rope["mrope_interleaved"], rope["mrope_section"] = true, []int{(n + 2) / 3, (n + 1) / 3, n / 3}
	c["rope_parameters"] = rope
	r := d.Recurrent
	kinds := make([]string, d.Layers)
	for i := range kinds {
		kinds[i] = map[bool]string{true: "full_attention", false: "linear_attention"}[r.Attends[i]]
	}
	c["layer_types"], c["attn_output_gate"], c["mamba_ssm_dtype"] = kinds, d.Gated, "float32"
	c["linear_conv_kernel_dim"], c["linear_key_head_dim"], c["linear_value_head_dim"] = r.Taps, r.KeyWidth, r.ValueWidth
	c["linear_num_key_heads"], c["linear_num_value_heads"] = r.KeyHeads, r.Heads
	if d.Rotation > 0 {
		return w.rotatedConfig(c), nil
	}
	return c, nil
}

// quantization returns quantization_config of a model whose linear layers are BitNet's.
func quantization(d *arch.Decoder, class, mode string) map[string]any {
	c := map[string]any{"quant_method": "bitnet", "linear_class": class, "quantization_mode": mode, "modules_to_not_convert": []string{"lm_head"}}
	if d.LinearNormEps > 0 {
		c["use_rms_norm"], c["rms_norm_eps"] = true, d.LinearNormEps
	}
	return c
}

// share returns the share of a head that is rotated, such that a reader computes the same number of elements from it.
func share(width, head int) (float64, error) {
	for _, p := range []float64{float64(width) / float64(head), math.Nextafter(float64(width)/float64(head), 2)} {
		if int(float64(head)*p) == width {
			return p, nil
		}
	}
	return 0, fmt.Errorf("got a rotary embedding of %d of %d elements, which no factor says", width, head)
}

// hfRopeOf returns the value of rope_scaling, nil for none.
func hfRopeOf(r arch.Rope) (map[string]any, error) {
	several := 0
	for _, there := range []bool{r.Linear > 0, r.YaRN != nil, r.Factors != nil} {
		if there {
			several++
		}
	}
	switch {
	case several > 1:
		return nil, errors.New("got several scalings of positions, want one: config.json has no place for more")
	case r.Linear > 0:
		return map[string]any{"rope_type": "linear", "factor": r.Linear}, nil
	case r.YaRN != nil:
		y := r.YaRN
		c := map[string]any{"rope_type": "yarn", "factor": y.Factor, "original_max_position_embeddings": y.Original, "beta_fast": y.BetaFast, "beta_slow": y.BetaSlow}
		if y.Scale != 0 {
			c["attention_factor"] = y.Scale
		}
		if y.Fractions {
			c["truncate"] = false
		}
		return c, nil
	case r.Factors != nil:
		return llama3Of(r)
	}
	return nil, nil
}

// llama3Of finds settings like those of Llama 3.1 and 3.2 that give the factors: of 8,192 tokens, or another power of two.
func llama3Of(r arch.Rope) (map[string]any, error) {
	plain := r
	plain.Factors = nil
	originals := []int{8192}
	for bits := 5; bits < 21; bits++ {
		originals = append(originals, 1<<bits)
	}
	for _, original := range originals {
		for _, factor := range []float64{8, 32, 4, 16, 2, 64} {
			s := hfRope{Factor: factor, LowFactor: 1, HighFactor: 4, Original: original}
			got, err := llama3Factors(plain, s)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(got, func(x float64) bool { return x != x }) && near(got, r.Factors) {
				return map[string]any{"rope_type": "llama3", "factor": factor, "low_freq_factor": s.LowFactor, "high_freq_factor": s.HighFactor,
					"original_max_position_embeddings": s.Original}, nil
			}
		}
	}
	return nil, errors.New("got factors of the rotary embedding that are none of Llama 3.1's, and config.json has no place for others")
}

// near compares factors, of which one side was rounded to float32.
func near(a, b []float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-6*b[i] {
			return false
		}
	}
	return true
}

// tokenizerConfig returns the content of tokenizer_config.json.
func (m *Model) tokenizerConfig() map[string]any {
	c := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": m.Decoder.Context, "clean_up_tokenization_spaces": false}
	for name, token := range m.Chat.Tokens {
		c[name] = token
	}
	switch t := m.Chat.Templates; {
	case len(t) == 1 && t["default"] != "":
		c["chat_template"] = t["default"]
	case len(t) > 0:
		var list []map[string]string
		for _, name := range slices.Sorted(maps.Keys(t)) {
			list = append(list, map[string]string{"name": name, "template": t[name]})
		}
		c["chat_template"] = list
	}
	return c
}
