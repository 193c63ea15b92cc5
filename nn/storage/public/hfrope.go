package public

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"bitgpu/nn/arch"
)

// hfRope is the value of rope_scaling or rope_parameters.
type hfRope struct {
	Type       string   `json:"rope_type"`
	OldType    string   `json:"type"`
	Theta      *float64 `json:"rope_theta"`
	Partial    *float64 `json:"partial_rotary_factor"`
	Factor     float64  `json:"factor"`
	Original   int      `json:"original_max_position_embeddings"`
	BetaFast   float64  `json:"beta_fast"`
	BetaSlow   float64  `json:"beta_slow"`
	Attention  *float64 `json:"attention_factor"`
	MScale     float64  `json:"mscale"`
	MScaleAll  float64  `json:"mscale_all_dim"`
	Truncate   *bool    `json:"truncate"`
	LowFactor  float64  `json:"low_freq_factor"`
	HighFactor float64  `json:"high_freq_factor"`
}

var (
	ropeTypes = []string{"default", "linear", "yarn", "llama3"}
	ropeKeys  = []string{
		"rope_type", "type", "rope_theta", "partial_rotary_factor", "factor", "original_max_position_embeddings", "beta_fast", "beta_slow",
		"attention_factor", "mscale", "mscale_all_dim", "truncate", "low_freq_factor", "high_freq_factor",
		"mrope_section", "mrope_interleaved", // how images are placed; the axes of a text are alike
	}
)

// ropeScaling reads rope_scaling, the old form, or where it is missing or empty rope_parameters, as transformers does.
func (c *hfConfig) ropeScaling() (hfRope, error) {
	for _, given := range []struct {
		key   string
		value json.RawMessage
	}{{"rope_scaling", c.RopeScaling}, {"rope_parameters", c.RopeParameters}} {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal([]byte(cmp.Or(string(given.value), "null")), &keys); err != nil {
			return hfRope{}, fmt.Errorf("%s: %w", given.key, err)
		}
		for key, value := range keys {
			if string(value) == "null" {
				delete(keys, key)
			}
		}
		if len(keys) == 0 {
			continue
		}
		var r hfRope
		if err := json.Unmarshal(given.value, &r); err != nil {
			return hfRope{}, fmt.Errorf("%s: %w", given.key, err)
		}
		if r.Type = cmp.Or(r.Type, r.OldType, "default"); !slices.Contains(ropeTypes, r.Type) {
			return hfRope{}, fmt.Errorf("%s: got %q, want default, linear, yarn or llama3", given.key, r.Type)
		}
		for key := range keys {
			if !slices.Contains(ropeKeys, key) { // it may say that positions are rotated otherwise
				return hfRope{}, fmt.Errorf("%s: got the key %q, want one of %s", given.key, key, strings.Join(ropeKeys, ", "))
			}
		}
		return r, nil
	}
	return hfRope{Type: "default"}, nil
}

// rope reads the keys of the rotary embedding, in the old and the new form.
func (c *hfConfig) rope(d *arch.Decoder) error {
	r, err := c.ropeScaling()
	if err != nil {
		return err
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
	if c.Original > 0 { // takes precedence in transformers
		r.Original = c.Original
	}
	d.Rope = arch.Rope{Width: int(float64(d.HeadWidth) * partial), Theta: theta}
	switch r.Type {
	case "linear":
		d.Rope.Linear = r.Factor
		if !(r.Factor > 0) {
			return fmt.Errorf("rope_scaling: factor: got %v, want a number above 0", r.Factor)
		}
	case "yarn":
		if d.Rope.YaRN, err = r.yarn(c.Positions); err != nil {
			return err
		}
	case "llama3":
		r.Original = cmp.Or(r.Original, c.Positions)
		f, err := llama3Factors(d.Rope, r)
		if err != nil {
			return err
		}
		d.Rope.Factors = f
	}
	return nil
}

// yarn reads the keys of YaRN.
func (r *hfRope) yarn(context int) (*arch.YaRN, error) {
	y := &arch.YaRN{
		Factor: r.Factor, Original: cmp.Or(r.Original, context), BetaFast: cmp.Or(r.BetaFast, 32), BetaSlow: cmp.Or(r.BetaSlow, 1),
		Fractions: r.Truncate != nil && !*r.Truncate,
	}
	switch {
	case r.Attention != nil:
		if y.Scale = *r.Attention; !(y.Scale > 0) {
			return nil, fmt.Errorf("rope_scaling: attention_factor: got %v, want a number above 0", y.Scale)
		}
	case r.MScale != 0 && r.MScaleAll != 0: // DeepSeek's keys
		y.Scale = (0.1*r.MScale*math.Log(y.Factor) + 1) / (0.1*r.MScaleAll*math.Log(y.Factor) + 1)
	}
	return y, nil
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
