package public

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
)

// hfConfig holds the keys of config.json that describe a model; missing ones are nil or zero.
type hfConfig struct {
	Architectures []string        `json:"architectures"`
	ModelType     string          `json:"model_type"`
	Text          json.RawMessage `json:"text_config"` // of a model that also takes images

	Hidden       int      `json:"hidden_size"`
	Intermediate int      `json:"intermediate_size"`
	Layers       int      `json:"num_hidden_layers"`
	Heads        int      `json:"num_attention_heads"`
	KVHeads      int      `json:"num_key_value_heads"`
	HeadDim      int      `json:"head_dim"`
	Positions    int      `json:"max_position_embeddings"`
	Eps          *float64 `json:"rms_norm_eps"`
	Activation   string   `json:"hidden_act"`
	Tied         *bool    `json:"tie_word_embeddings"`
	Bias         bool     `json:"attention_bias"`
	MLPBias      bool     `json:"mlp_bias"`
	Sliding      bool     `json:"use_sliding_window"`

	Theta          *float64        `json:"rope_theta"`
	Partial        *float64        `json:"partial_rotary_factor"`
	Original       int             `json:"original_max_position_embeddings"`
	RopeScaling    json.RawMessage `json:"rope_scaling"`
	RopeParameters json.RawMessage `json:"rope_parameters"`

	OutputGate   bool     `json:"attn_output_gate"`
	Kinds        []string `json:"layer_types"`
	Interval     int      `json:"full_attention_interval"`
	Taps         int      `json:"linear_conv_kernel_dim"`
	KeyDim       int      `json:"linear_key_head_dim"`
	ValueDim     int      `json:"linear_value_head_dim"`
	KeyHeads     int      `json:"linear_num_key_heads"`
	ValueHeads   int      `json:"linear_num_value_heads"`
	EOS          any      `json:"eos_token_id"`
	Quantization struct {
		Method  string   `json:"quant_method"`
		Norms   bool     `json:"use_rms_norm"`
		NormEps *float64 `json:"rms_norm_eps"`
	} `json:"quantization_config"`
	InputBits int           `json:"input_bits"`     // 1bitLLM's key
	Masters   *arch.Masters `json:"bitgpu_masters"` // our own key, of masters trained by groups

	rotated bool // the model_type, which that of the text part hides, is mlxRotated
}

// hfFamilies are the known values of architectures in config.json.
var hfFamilies = []string{
	"LlamaForCausalLM", "BitNetForCausalLM", "BitnetForCausalLM", "Qwen3ForCausalLM", "Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration",
}

// hfDefaults are what transformers takes for missing keys, where that is not the same for all families.
var hfDefaults = map[string]func() hfConfig{
	"LlamaForCausalLM":  llamaDefaults,
	"BitnetForCausalLM": llamaDefaults, // 1bitLLM's models have Llama's keys
	"BitNetForCausalLM": func() hfConfig {
		eps, theta := 1e-5, 500_000.0
		return hfConfig{Activation: "relu2", Eps: &eps, Theta: &theta, KVHeads: 5, Positions: 2048}
	},
	"Qwen3ForCausalLM":                func() hfConfig { return hfConfig{HeadDim: 128, KVHeads: 32, Positions: 32768} },
	"Qwen3_5ForCausalLM":              recurrentDefaults,
	"Qwen3_5ForConditionalGeneration": recurrentDefaults,
}

func llamaDefaults() hfConfig { return hfConfig{Positions: 2048} }

func recurrentDefaults() hfConfig {
	partial := 0.25
	return hfConfig{
		Partial: &partial, HeadDim: 256, KVHeads: 4, Positions: 32768, OutputGate: true, Interval: 4, Taps: 4, KeyDim: 128, ValueDim: 128, KeyHeads: 16, ValueHeads: 32,
	}
}

// IsHF reports whether a config.json describes a model in Hugging Face's form, as opposed to one of our own.
func IsHF(config []byte) bool {
	var c struct {
		Architectures []string        `json:"architectures"`
		ModelType     string          `json:"model_type"`
		Own           json.RawMessage `json:"hidden_dim"`
		Rate          json.RawMessage `json:"inner_lr"`
	}
	return json.Unmarshal(config, &c) == nil && c.Own == nil && c.Rate == nil && (len(c.Architectures) > 0 || c.ModelType != "")
}

// parseHF reads config.json. The size of the vocabulary is that of the embedding. Errors do not name the file.
func parseHF(data []byte) (*arch.Decoder, *hfConfig, error) {
	var c hfConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(c.Architectures, func(a string) bool { return slices.Contains(hfFamilies, a) })
	c.rotated = c.ModelType == mlxRotated
	if i < 0 && !c.rotated {
		return nil, nil, fmt.Errorf("architectures: got %q (model_type %q), want one of %s", c.Architectures, c.ModelType, strings.Join(hfFamilies, ", "))
	}
	family := "Qwen3_5ForConditionalGeneration"
	if !c.rotated {
		family = c.Architectures[i]
	}
	rotated := c.rotated
	c = hfDefaults[family]()
	if err := c.add(data); err != nil {
		return nil, nil, err
	}
	c.rotated = rotated
	if c.Text != nil { // its keys take precedence
		if err := c.add(c.Text); err != nil {
			return nil, nil, fmt.Errorf("text_config: %w", err)
		}
	}
	for _, size := range []struct {
		key   string
		given int
	}{
		{"hidden_size", c.Hidden}, {"intermediate_size", c.Intermediate}, {"num_hidden_layers", c.Layers}, {"num_attention_heads", c.Heads},
	} {
		if size.given == 0 { // transformers has defaults, but writes these keys always: a file without them has been cut
			return nil, nil, fmt.Errorf("%s: got none, or 0, want a whole number above 0", size.key)
		}
	}
	if c.Activation == "swish" { // transformers' other name
		c.Activation = layer.SiLU
	}
	switch {
	case c.Bias || c.MLPBias:
		return nil, nil, fmt.Errorf("attention_bias or mlp_bias: got true, want false: biases are not supported")
	case c.Sliding:
		return nil, nil, fmt.Errorf("use_sliding_window: got true, want false: not supported")
	case slices.Contains(c.Kinds, "sliding_attention") || slices.Contains(c.Kinds, "chunked_attention"):
		return nil, nil, fmt.Errorf("layer_types: got %q, want full_attention in each layer: windows are not supported", c.Kinds)
	case c.Quantization.Norms && c.Quantization.Method != "bitnet":
		return nil, nil, fmt.Errorf("quantization_config: use_rms_norm: got true with the quant_method %q, want false, or bitnet", c.Quantization.Method)
	case c.Activation != "silu" && c.Activation != "relu2" && c.Activation != "":
		return nil, nil, fmt.Errorf("hidden_act: got %q, want silu or relu2", c.Activation)
	}
	d := &arch.Decoder{
		Width: c.Hidden, MLP: c.Intermediate, Layers: c.Layers, Heads: c.Heads, KVHeads: c.KVHeads, HeadWidth: c.HeadDim,
		Context: c.Positions, Squared: c.Activation == "relu2", Tied: c.Tied != nil && *c.Tied, Int8: c.Quantization.Method == "bitnet",
		Eps: 1e-6, // transformers' default
	}
	if d.Masters = c.Masters; d.Masters != nil && (d.Masters.Group < 32 || d.Masters.Group%32 != 0) {
		return nil, nil, fmt.Errorf("bitgpu_masters: got groups of %d inputs, want a multiple of 32", d.Masters.Group)
	}
	if c.Eps != nil {
		d.Eps = *c.Eps
	}
	if c.Quantization.Norms {
		d.LinearNormEps = 1e-6 // transformers' default
		if e := c.Quantization.NormEps; e != nil {
			d.LinearNormEps = *e
		}
		if !(d.LinearNormEps > 0 && d.LinearNormEps < 1) {
			return nil, nil, fmt.Errorf("quantization_config: rms_norm_eps: got %v, want a number between 0 and 1", d.LinearNormEps)
		}
	}
	if d.KVHeads == 0 {
		d.KVHeads = d.Heads
	}
	if d.HeadWidth == 0 && d.Heads > 0 {
		d.HeadWidth = d.Width / d.Heads
	}
	switch family {
	case "LlamaForCausalLM":
		d.Family = "llama"
	case "BitNetForCausalLM":
		d.Family, d.SubNorms = "bitnet", true
	case "BitnetForCausalLM": // 1bitLLM: masters, quantised in each pass
		d.Family, d.SubNorms, d.Int8 = "bitnet", true, true
	case "Qwen3ForCausalLM":
		d.Family, d.HeadNorms = "qwen3", true
	default:
		d.Family, d.HeadNorms, d.Gated = "qwen3.5", true, c.OutputGate
		if d.Squared { // its convolutions and gates go through hidden_act, too
			return nil, nil, errors.New("hidden_act: got relu2, want silu of a model with the gated delta rule")
		}
		if err := c.recurrent(d); err != nil {
			return nil, nil, err
		}
	}
	if err := c.rope(d); err != nil {
		return nil, nil, err
	}
	if d.Recurrent == nil && d.Rope.Width != d.HeadWidth { // transformers passes over it, or fails, by the kind of scaling
		return nil, nil, fmt.Errorf("partial_rotary_factor: got %d of %d elements of a head, want all: only Qwen3.5 has it", d.Rope.Width, d.HeadWidth)
	}
	return d, &c, nil
}

// add reads the keys of a JSON object over those that are there. It refuses an empty value where transformers does: such keys
// would otherwise be taken for missing ones.
func (c *hfConfig) add(config []byte) error {
	var keys map[string]json.RawMessage
	if err := cmp.Or(json.Unmarshal(config, c), json.Unmarshal(config, &keys)); err != nil {
		return err
	}
	for key, want := range map[string]string{
		"hidden_act": "silu or relu2", "rms_norm_eps": "a number", "max_position_embeddings": "a whole number",
	} {
		if value := string(keys[key]); value == "null" || value == `""` {
			return fmt.Errorf("%s: got %s, want %s", key, value, want)
		}
	}
	if string(keys["num_key_value_heads"]) == "null" { // other than a missing one, it means those of the queries
		c.KVHeads = 0
	}
	return nil
}

// recurrent reads the keys of the gated delta rule.
func (c *hfConfig) recurrent(d *arch.Decoder) error {
	r := &arch.Recurrent{KeyHeads: c.KeyHeads, Heads: c.ValueHeads, KeyWidth: c.KeyDim, ValueWidth: c.ValueDim, Taps: c.Taps}
	if c.Kinds == nil && c.Interval > 0 && c.Layers < 1<<16 {
		for i := range c.Layers {
			r.Attends = append(r.Attends, (i+1)%c.Interval == 0)
		}
	}
	for _, kind := range c.Kinds {
		if kind != "full_attention" && kind != "linear_attention" {
			return fmt.Errorf("layer_types: got %q, want full_attention or linear_attention", kind)
		}
		r.Attends = append(r.Attends, kind == "full_attention")
	}
	d.Recurrent = r
	return nil
}

// tokenIDs returns the ids in a JSON value: one id, a list, or none. Negative ids, which some files have, mean none.
func tokenIDs(v any) (ids []uint32, err error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	for _, x := range list {
		n, ok := x.(float64)
		if !ok || n != math.Trunc(n) {
			return nil, fmt.Errorf("got %v, want a whole number, or a list of them", x)
		}
		if n >= 0 && n < math.MaxUint32 {
			ids = append(ids, uint32(n))
		}
	}
	return ids, nil
}
