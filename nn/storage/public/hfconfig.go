package public

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"bitgpu/nn/arch"
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

	Theta          *float64 `json:"rope_theta"`
	Partial        *float64 `json:"partial_rotary_factor"`
	RopeScaling    *hfRope  `json:"rope_scaling"`
	RopeParameters *hfRope  `json:"rope_parameters"`

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
		Method string `json:"quant_method"`
		Norms  bool   `json:"use_rms_norm"`
	} `json:"quantization_config"`
	InputBits int           `json:"input_bits"`     // 1bitLLM's key
	Masters   *arch.Masters `json:"bitgpu_masters"` // our own key, of masters trained by groups

	rotated bool // the model_type, which that of the text part hides, is mlxRotated
}

// hfRope is the value of rope_scaling or rope_parameters.
type hfRope struct {
	Type       string   `json:"rope_type"`
	OldType    string   `json:"type"`
	Theta      *float64 `json:"rope_theta"`
	Partial    *float64 `json:"partial_rotary_factor"`
	Factor     float64  `json:"factor"`
	Original   int      `json:"original_max_position_embeddings"`
	BetaFast   *float64 `json:"beta_fast"`
	BetaSlow   *float64 `json:"beta_slow"`
	Attention  *float64 `json:"attention_factor"`
	LowFactor  float64  `json:"low_freq_factor"`
	HighFactor float64  `json:"high_freq_factor"`
}

// hfFamilies are the known values of architectures in config.json.
var hfFamilies = []string{
	"LlamaForCausalLM", "BitNetForCausalLM", "BitnetForCausalLM", "Qwen3ForCausalLM", "Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration",
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
	if family == "BitNetForCausalLM" { // the defaults of this class in transformers
		eps, theta := 1e-5, 500_000.0
		c = hfConfig{Activation: "relu2", Eps: &eps, Theta: &theta}
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, nil, err
		}
	}
	if err := refuseEmpty(data); err != nil {
		return nil, nil, err
	}
	if c.Text != nil { // its keys take precedence
		if err := json.Unmarshal(c.Text, &c); err != nil {
			return nil, nil, fmt.Errorf("text_config: %w", err)
		}
		if err := refuseEmpty(c.Text); err != nil {
			return nil, nil, fmt.Errorf("text_config: %w", err)
		}
	}
	switch {
	case c.Bias || c.MLPBias:
		return nil, nil, fmt.Errorf("attention_bias or mlp_bias: got true, want false: biases are not supported")
	case c.Sliding:
		return nil, nil, fmt.Errorf("use_sliding_window: got true, want false: not supported")
	case c.Quantization.Norms:
		return nil, nil, fmt.Errorf("quantization_config: use_rms_norm: got true, want false: norms within linear layers are not supported")
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
		if err := c.recurrent(d); err != nil {
			return nil, nil, err
		}
	}
	if err := c.rope(d); err != nil {
		return nil, nil, err
	}
	return d, &c, nil
}

// refuseEmpty refuses keys with an empty value where transformers does; they would otherwise be taken for missing ones.
func refuseEmpty(config []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(config, &keys); err != nil {
		return err
	}
	for key, want := range map[string]string{"hidden_act": "silu or relu2", "rms_norm_eps": "a number"} {
		if value := string(keys[key]); value == "null" || value == `""` {
			return fmt.Errorf("%s: got %s, want %s", key, value, want)
		}
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

// rope reads the keys of the rotary embedding, in the old and the new form.
func (c *hfConfig) rope(d *arch.Decoder) error {
	r := hfRope{Type: "default"}
	for _, given := range []*hfRope{c.RopeScaling, c.RopeParameters} {
		if given != nil {
			r = *given
		}
	}
	theta, partial := 10_000.0, 1.0
	for _, given := range []*float64{c.Theta, r.Theta} {
		if given != nil {
			theta = *given
		}
	}
	for _, given := range []*float64{c.Partial, r.Partial} {
		if given != nil {
			partial = *given
		}
	}
	if !(partial > 0 && partial <= 1) {
		return fmt.Errorf("partial_rotary_factor: got %v, want a number above 0, up to 1", partial)
	}
	d.Rope = arch.Rope{Width: int(float64(d.HeadWidth) * partial), Theta: theta}
	if r.Type == "" {
		r.Type = r.OldType
	}
	switch r.Type {
	case "default", "":
	case "linear":
		d.Rope.Linear = r.Factor
		if !(r.Factor > 0) {
			return fmt.Errorf("rope_scaling: factor: got %v, want a number above 0", r.Factor)
		}
	case "yarn":
		y := &arch.YaRN{Factor: r.Factor, Original: r.Original, BetaFast: 32, BetaSlow: 1}
		if r.BetaFast != nil {
			y.BetaFast = *r.BetaFast
		}
		if r.BetaSlow != nil {
			y.BetaSlow = *r.BetaSlow
		}
		if r.Attention != nil {
			y.Scale = *r.Attention
		}
		if y.Original == 0 {
			y.Original = c.Positions
		}
		d.Rope.YaRN = y
	case "llama3":
		f, err := llama3Factors(d.Rope, r)
		if err != nil {
			return err
		}
		d.Rope.Factors = f
	default:
		return fmt.Errorf("rope_scaling: got %q, want default, linear, yarn or llama3", r.Type)
	}
	return nil
}

// llama3Factors returns the divisors of the frequencies in Llama 3.1: 1 for short waves, the factor for long ones.
func llama3Factors(rope arch.Rope, r hfRope) ([]float64, error) {
	if !(r.Factor > 0 && r.LowFactor > 0 && r.HighFactor > r.LowFactor && r.Original > 0) {
		return nil, fmt.Errorf("rope_scaling: got factors %v, %v, %v of %d tokens, want three above 0, the last above the second, and a number of tokens",
			r.Factor, r.LowFactor, r.HighFactor, r.Original)
	}
	frequencies, _ := rope.Frequencies()
	factors := make([]float64, len(frequencies))
	for i, f := range frequencies {
		waves := float64(r.Original) * f / (2 * math.Pi) // waves in the old context
		smooth := min(max((waves-r.LowFactor)/(r.HighFactor-r.LowFactor), 0), 1)
		factors[i] = 1 / (smooth + (1-smooth)/r.Factor)
	}
	return factors, nil
}
