package public

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"bitgpu/io/chat"
	"bitgpu/nn/arch"
)

// bittVersion is the version of the description below. A reader must know all of it: a model run without one of its switches
// would write nonsense.
const bittVersion = 1

// bittConfig is the config of a .bitt file with a model of a public family.
type bittConfig struct {
	Decoder json.RawMessage `json:"decoder"`
	Ends    []uint32        `json:"end_tokens"`
	Chat    bittChat        `json:"chat"`
}

type bittChat struct {
	Templates map[string]string `json:"templates,omitempty"`
	Tokens    map[string]string `json:"tokens,omitempty"`
}

// bittDecoder is an [arch.Decoder].
type bittDecoder struct {
	Version   int            `json:"version"`
	Family    string         `json:"family"`
	Vocab     int            `json:"vocab_size"`
	Width     int            `json:"hidden_dim"`
	Layers    int            `json:"num_layers"`
	MLP       int            `json:"mlp_dim"`
	Heads     int            `json:"heads"`
	KVHeads   int            `json:"kv_heads"`
	HeadWidth int            `json:"head_dim"`
	Context   int            `json:"context"`
	Eps       float64        `json:"norm_eps"`
	Tied      bool           `json:"tied_head"`
	Squared   bool           `json:"squared_relu"`
	SubNorms  bool           `json:"sub_norms"`
	HeadNorms bool           `json:"head_norms"`
	Gated     bool           `json:"output_gate"`
	Int8      bool           `json:"int8_activations"`
	Rope      bittRope       `json:"rope"`
	Recurrent *bittRecurrent `json:"recurrent,omitempty"`
	Rotation  int            `json:"hadamard_block,omitempty"`

	LinearNormEps float64 `json:"linear_norm_eps,omitempty"`
}

type bittRope struct {
	Width   int       `json:"dim"`
	Theta   float64   `json:"theta"`
	Factors []float64 `json:"factors,omitempty"`
	Linear  float64   `json:"linear,omitempty"`
	YaRN    *bittYaRN `json:"yarn,omitempty"`
}

type bittYaRN struct {
	Factor    float64 `json:"factor"`
	Original  int     `json:"original_context"`
	BetaFast  float64 `json:"beta_fast"`
	BetaSlow  float64 `json:"beta_slow"`
	Scale     float64 `json:"scale,omitempty"`
	Fractions bool    `json:"fractions,omitempty"`
}

type bittRecurrent struct {
	KeyHeads   int    `json:"key_heads"`
	Heads      int    `json:"value_heads"`
	KeyWidth   int    `json:"key_dim"`
	ValueWidth int    `json:"value_dim"`
	Taps       int    `json:"conv_taps"`
	Attends    []bool `json:"attention"`
}

// IsBitt reports whether the config of a .bitt file describes a model of a public family, as opposed to one of our own.
func IsBitt(config json.RawMessage) bool {
	var c bittConfig
	return json.Unmarshal(config, &c) == nil && c.Decoder != nil
}

// encodeBitt returns the config of a model.
func encodeBitt(m *Model) (json.RawMessage, error) {
	d := m.Decoder
	b := bittDecoder{
		Version: bittVersion, Family: d.Family, Vocab: d.Vocab, Width: d.Width, Layers: d.Layers, MLP: d.MLP,
		Heads: d.Heads, KVHeads: d.KVHeads, HeadWidth: d.HeadWidth, Context: d.Context, Eps: d.Eps, Tied: d.Tied, Squared: d.Squared,
		SubNorms: d.SubNorms, HeadNorms: d.HeadNorms, Gated: d.Gated, Int8: d.Int8, Rotation: d.Rotation, LinearNormEps: d.LinearNormEps,
		Rope:      bittRope{Width: d.Rope.Width, Theta: d.Rope.Theta, Factors: d.Rope.Factors, Linear: d.Rope.Linear, YaRN: (*bittYaRN)(d.Rope.YaRN)},
		Recurrent: (*bittRecurrent)(d.Recurrent),
	}
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	return json.Marshal(bittConfig{Decoder: text, Ends: append([]uint32{}, m.Ends...), Chat: bittChat(m.Chat)})
}

// decodeBitt reads the config, but not the tokenizer, into a model. Errors do not name the file.
func decodeBitt(config json.RawMessage, m *Model) error {
	var c bittConfig
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	var version struct{ Version int }
	if err := json.Unmarshal(c.Decoder, &version); err != nil {
		return fmt.Errorf("decoder: %w", err)
	}
	if version.Version != bittVersion {
		return fmt.Errorf("decoder: version: got %d, want %d", version.Version, bittVersion)
	}
	var b bittDecoder
	strict := json.NewDecoder(bytes.NewReader(c.Decoder))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&b); err != nil {
		return fmt.Errorf("decoder: %w", err)
	}
	m.Decoder = &arch.Decoder{
		Family: b.Family, Vocab: b.Vocab, Width: b.Width, Layers: b.Layers, MLP: b.MLP,
		Heads: b.Heads, KVHeads: b.KVHeads, HeadWidth: b.HeadWidth, Context: b.Context, Eps: b.Eps, Tied: b.Tied, Squared: b.Squared,
		SubNorms: b.SubNorms, HeadNorms: b.HeadNorms, Gated: b.Gated, Int8: b.Int8, Rotation: b.Rotation, LinearNormEps: b.LinearNormEps,
		Rope:      arch.Rope{Width: b.Rope.Width, Theta: b.Rope.Theta, Factors: b.Rope.Factors, Linear: b.Rope.Linear, YaRN: (*arch.YaRN)(b.Rope.YaRN)},
		Recurrent: (*arch.Recurrent)(b.Recurrent),
	}
	if err := m.Decoder.Validate(); err != nil {
		return fmt.Errorf("decoder: %w", err)
	}
	if d := m.Decoder; d.Rotation > 0 && (d.Heads*d.HeadWidth%d.Rotation != 0 || d.Recurrent != nil && d.Recurrent.Heads*d.Recurrent.ValueWidth%d.Rotation != 0) {
		return errors.New("decoder: hadamard_block does not divide the width of the heads")
	}
	for _, id := range c.Ends {
		if int64(id) >= int64(m.Decoder.Vocab) {
			return fmt.Errorf("end_tokens: got %d, want one of %d tokens", id, m.Decoder.Vocab)
		}
	}
	m.Ends, m.Chat = c.Ends, chat.Source(c.Chat)
	m.template()
	return nil
}
