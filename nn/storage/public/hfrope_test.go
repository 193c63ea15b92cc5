package public

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"bitgpu/nn/arch"
)

// The frequencies and the factor of cosines and sines that transformers 5.24 makes of the keys in a config.json
// (modeling_rope_utils, in float32), of heads of 64 elements and a context of 4,096 tokens; and config.json says the same when it
// is written.
func TestRotaryEmbeddings(t *testing.T) {
	at := []int{1, 4, 8, 12, 16, 24, 31} // of the 32 frequencies
	for name, c := range map[string]struct {
		keys        string
		scale       float64
		frequencies []float64
	}{
		"linear":                        {`"rope_scaling":{"type":"linear","factor":4}`, 1, []float64{0.1874736, 0.07905694, 0.025, 0.007905695, 0.0025, 0.00025, 3.333804e-05}},
		"llama3":                        {`"rope_theta":500000,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":1024}`, 1, []float64{0.6636013, 0.1939228, 0.03760603, 0.001312569, 0.0001767767, 6.64787e-06, 3.767323e-07}},
		"llama3 of the context":         {`"rope_theta":500000,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4}`, 1, []float64{0.6636012, 0.1939227, 0.03760603, 0.007292665, 0.0001767767, 6.64787e-06, 3.767323e-07}},
		"yarn":                          {`"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":64}`, 1.13862944, []float64{0.687403, 0.2108185, 0.03333333, 0.007905695, 0.0025, 0.00025, 3.333804e-05}},
		"yarn of the context":           {`"rope_scaling":{"rope_type":"yarn","factor":4}`, 1.13862944, []float64{0.7498942, 0.3162278, 0.1, 0.027974, 0.006538462, 0.00025, 3.333804e-05}},
		"yarn between frequencies":      {`"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":64,"truncate":false}`, 1.13862944, []float64{0.6801496, 0.1985835, 0.02559525, 0.007905695, 0.0025, 0.00025, 3.333804e-05}},
		"yarn with betas":               {`"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":64,"beta_fast":8,"beta_slow":2}`, 1.13862944, []float64{0.6561574, 0.1581139, 0.025, 0.007905695, 0.0025, 0.00025, 3.333804e-05}},
		"yarn with an attention factor": {`"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":64,"attention_factor":1.25,"mscale":1,"mscale_all_dim":0.5}`, 1.25, []float64{0.687403, 0.2108185, 0.03333333, 0.007905695, 0.0025, 0.00025, 3.333804e-05}},
		"yarn with two scales":          {`"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":64,"mscale":1,"mscale_all_dim":0.5}`, 1.06482163, []float64{0.687403, 0.2108185, 0.03333333, 0.007905695, 0.0025, 0.00025, 3.333804e-05}},
		"yarn with one scale":           {`"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":64,"mscale":0.5}`, 1.13862944, []float64{0.687403, 0.2108185, 0.03333333, 0.007905695, 0.0025, 0.00025, 3.333804e-05}},
		"the old key first":             {`"rope_scaling":{"rope_type":"linear","factor":2},"rope_parameters":{"rope_type":"linear","factor":3,"rope_theta":77}`, 1, []float64{0.3749471, 0.1581139, 0.05, 0.01581139, 0.005, 0.0005, 6.667608e-05}},
		"an empty old key":              {`"rope_scaling":{},"rope_parameters":{"rope_type":"linear","factor":3,"rope_theta":77}`, 1, []float64{0.2910221, 0.1936723, 0.1125268, 0.06537997, 0.03798686, 0.01282362, 0.004958392}},
		"the inner theta":               {`"rope_theta":5000,"rope_parameters":{"rope_type":"default","rope_theta":77}`, 1, []float64{0.8730662, 0.5810168, 0.3375805, 0.1961399, 0.1139606, 0.03847086, 0.01487518}},
		"the outer original context":    {`"original_max_position_embeddings":32,"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":64}`, 1.13862944, []float64{0.6561574, 0.1581139, 0.025, 0.007905695, 0.0025, 0.00025, 3.333804e-05}},
	} {
		t.Run(name, func(t *testing.T) {
			parse := func(keys string) arch.Rope {
				t.Helper()
				d, _, err := parseHF([]byte(`{"architectures":["LlamaForCausalLM"],"hidden_size":256,"intermediate_size":512,"num_attention_heads":4,"num_hidden_layers":1,
					"max_position_embeddings":4096,` + keys + `}`))
				if err != nil {
					t.Fatal(err)
				}
				return d.Rope
			}
			rope := parse(c.keys)
			frequencies, scale := rope.Frequencies()
			if math.Abs(scale-c.scale) > 1e-8 {
				t.Errorf("scale: got %v, want %v", scale, c.scale)
			}
			for i, want := range c.frequencies {
				if got := frequencies[at[i]]; math.Abs(got-want) > 1e-5*want {
					t.Errorf("frequency %d: got %v, want %v", at[i], got, want)
				}
			}
			written, err := hfRopeOf(rope)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := json.Marshal(map[string]any{"rope_theta": rope.Theta, "rope_scaling": written})
			if err != nil {
				t.Fatal(err)
			}
			if again := parse(string(keys[1 : len(keys)-1])); !reflect.DeepEqual(again, rope) {
				t.Errorf("written as %s: got %+v, want %+v", keys, again, rope)
			}
		})
	}
}

// What a config.json leaves out, or sets to null where it may, is what transformers 5.24 takes then.
func TestHFDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		architecture, keys                string
		kvHeads, headWidth, rope, context int
		theta                             float64
	}{
		"llama":         {"LlamaForCausalLM", "", 32, 8, 8, 2048, 10_000},
		"1bitLLM":       {"BitnetForCausalLM", "", 32, 8, 8, 2048, 10_000},
		"bitnet":        {"BitNetForCausalLM", `,"num_key_value_heads":null`, 32, 8, 8, 2048, 500_000},
		"qwen3":         {"Qwen3ForCausalLM", "", 32, 128, 128, 32768, 10_000},
		"qwen3 nil":     {"Qwen3ForCausalLM", `,"num_key_value_heads":null,"rope_scaling":null`, 32, 128, 128, 32768, 10_000},
		"hybrid":        {"Qwen3_5ForCausalLM", "", 4, 256, 64, 32768, 10_000},
		"hybrid's text": {"Qwen3_5ForConditionalGeneration", `,"text_config":{"model_type":"qwen3_5_text"}`, 4, 256, 64, 32768, 10_000},
		"swish":         {"LlamaForCausalLM", `,"hidden_act":"swish"`, 32, 8, 8, 2048, 10_000},
	} {
		d, _, err := parseHF([]byte(`{"architectures":["` + c.architecture + `"],"hidden_size":256,"intermediate_size":512,"num_attention_heads":32,"num_hidden_layers":4` + c.keys + `}`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.KVHeads != c.kvHeads || d.HeadWidth != c.headWidth || d.Rope.Width != c.rope || d.Context != c.context || d.Rope.Theta != c.theta || d.Squared != (name == "bitnet") {
			t.Errorf("%s: got %+v, want %+v", name, d, c)
		}
	}
}

// What a config.json of Qwen3.5 leaves out is what transformers takes then.
func TestHybridDefaults(t *testing.T) {
	d, _, err := parseHF([]byte(`{"architectures":["Qwen3_5ForCausalLM"],"hidden_size":256,"intermediate_size":512,"num_attention_heads":4,"num_hidden_layers":5}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &arch.Recurrent{KeyHeads: 16, Heads: 32, KeyWidth: 128, ValueWidth: 128, Taps: 4, Attends: []bool{false, false, false, true, false}}
	if !d.Gated || d.HeadWidth != 256 || d.Rope.Width != 64 || !reflect.DeepEqual(d.Recurrent, want) {
		t.Errorf("got a gate %v, heads of %d, %d of them rotated, %+v", d.Gated, d.HeadWidth, d.Rope.Width, d.Recurrent)
	}
}
