package arch

import (
	"encoding/json"

	"bitgpu/nn/layer"
)

// MarshalJSON describes the model with the keys of our own config.json where there is one, otherwise with Hugging Face's. The
// result is for display; no file contains it.
func (d *Decoder) MarshalJSON() ([]byte, error) {
	type yarn struct {
		Factor   float64 `json:"factor"`
		Original int     `json:"original_context"`
		BetaFast float64 `json:"beta_fast"`
		BetaSlow float64 `json:"beta_slow"`
		Scale    float64 `json:"scale"`
	}
	type rope struct {
		Width   int       `json:"dim"`
		Theta   float64   `json:"theta"`
		Linear  float64   `json:"linear_factor,omitempty"`
		Factors []float64 `json:"factors,omitempty"`
		YaRN    *yarn     `json:"yarn,omitempty"`
	}
	type recurrent struct {
		KeyHeads   int   `json:"key_heads"`
		Heads      int   `json:"value_heads"`
		KeyWidth   int   `json:"key_dim"`
		ValueWidth int   `json:"value_dim"`
		Taps       int   `json:"conv"`
		Attention  []int `json:"attention_layers"`
	}
	out := struct {
		Family     string     `json:"family"`
		Vocab      int        `json:"vocab_size"`
		Width      int        `json:"hidden_dim"`
		Layers     int        `json:"num_layers"`
		MLP        int        `json:"mlp_dim"`
		Heads      int        `json:"num_heads"`
		KVHeads    int        `json:"num_kv_heads"`
		HeadWidth  int        `json:"head_dim"`
		Context    int        `json:"context"`
		Eps        float64    `json:"norm_eps"`
		Activation string     `json:"activation"`
		Tied       bool       `json:"tied_embeddings"`
		SubNorms   bool       `json:"sub_norms"`
		HeadNorms  bool       `json:"qk_norms"`
		Gated      bool       `json:"output_gate"`
		Int8       bool       `json:"int8_activations"`
		Rope       rope       `json:"rope"`
		Recurrent  *recurrent `json:"gated_delta,omitempty"`
		Rotation   int        `json:"hadamard_block,omitempty"`
		LinearEps  float64    `json:"linear_norm_eps,omitempty"`
	}{
		d.Family, d.Vocab, d.Width, d.Layers, d.MLP, d.Heads, d.KVHeads, d.HeadWidth, d.Context, d.Eps, d.Activation(),
		d.Tied, d.SubNorms, d.HeadNorms, d.Gated, d.Int8, rope{d.Rope.Width, d.Rope.Theta, d.Rope.Linear, d.Rope.Factors, nil}, nil, d.Rotation, d.LinearNormEps,
	}
	if y := d.Rope.YaRN; y != nil {
		_, scale := d.Rope.Frequencies()
		out.Rope.YaRN = &yarn{y.Factor, y.Original, y.BetaFast, y.BetaSlow, scale}
	}
	if r := d.Recurrent; r != nil {
		out.Recurrent = &recurrent{r.KeyHeads, r.Heads, r.KeyWidth, r.ValueWidth, r.Taps, []int{}}
		for i, attends := range r.Attends {
			if attends {
				out.Recurrent.Attention = append(out.Recurrent.Attention, i)
			}
		}
	}
	return json.Marshal(out)
}

// Activation returns the name that config.json has for the MLP's activation.
func (d *Decoder) Activation() string {
	if d.Squared {
		return layer.ReLU2
	}
	return layer.SiLU
}

// CacheBytes returns the bytes that the keys and values of one token take when a number takes `number` bytes.
func (d *Decoder) CacheBytes(number int) int64 {
	layers := 0
	for i := range d.Layers {
		if d.Attends(i) {
			layers++
		}
	}
	return 2 * int64(layers) * int64(d.KVHeads) * int64(d.HeadWidth) * int64(number)
}

// StateBytes returns the bytes that the gated delta rule keeps of one sequence in float32, whatever its length: the matrices
// of the heads and the last inputs of the convolutions.
func (d *Decoder) StateBytes() int64 {
	r := d.Recurrent
	if r == nil {
		return 0
	}
	layers := int64(0)
	for _, attends := range r.Attends {
		if !attends {
			layers++
		}
	}
	channels := 2*int64(r.KeyHeads)*int64(r.KeyWidth) + int64(r.Heads)*int64(r.ValueWidth)
	return 4 * layers * (int64(r.Heads)*int64(r.ValueWidth)*int64(r.KeyWidth) + int64(r.Taps-1)*channels)
}
