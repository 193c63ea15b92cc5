package public

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/io/gguf"
	"bitgpu/io/tokenizer"
	"bitgpu/nn/arch"
)

// ggufArchitecture returns the value of general.architecture for a family. It refuses models that this architecture cannot
// describe.
func ggufArchitecture(d *arch.Decoder) (string, error) {
	name := map[string]string{"llama": "llama", "bitnet": "bitnet", "qwen3": "qwen3", "qwen3.5": "qwen35"}[d.Family]
	if d.Family == "bitnet" && d.Squared {
		name = "bitnet-b1.58"
	}
	hybrid := d.Family == "qwen3.5"
	switch {
	case name == "":
		return "", fmt.Errorf("the family %q has no name in GGUF", d.Family)
	case d.SubNorms != (d.Family == "bitnet"), d.HeadNorms != strings.HasPrefix(name, "qwen"), d.Gated != hybrid, (d.Recurrent != nil) != hybrid,
		d.Squared && d.Family != "bitnet":
		return "", fmt.Errorf("the architecture %s of GGUF has other norms, gates or activations than this model of the family %s", name, d.Family)
	}
	return name, nil
}

// ggufKeys returns the metadata, except for that of the Hadamard transform.
func (m *Model) ggufKeys() ([]gguf.Key, error) {
	d := m.Decoder
	name, err := ggufArchitecture(d)
	if err != nil {
		return nil, err
	}
	title := strings.TrimSuffix(filepath.Base(m.Path), filepath.Ext(m.Path))
	keys := []gguf.Key{
		{Name: "general.architecture", Value: name}, {Name: "general.type", Value: "model"}, {Name: "general.name", Value: title},
		{Name: "general.quantization_version", Value: uint32(2)},
	}
	add := func(key string, value any) {
		if n, ok := value.(int); ok {
			value = uint32(n)
		}
		keys = append(keys, gguf.Key{Name: name + "." + key, Value: value})
	}
	add("block_count", d.Layers)
	add("context_length", d.Context)
	add("embedding_length", d.Width)
	add("feed_forward_length", d.MLP)
	add("vocab_size", d.Vocab)
	add("attention.head_count", d.Heads)
	add("attention.head_count_kv", d.KVHeads)
	add("attention.key_length", d.HeadWidth)
	add("attention.value_length", d.HeadWidth)
	add("attention.layer_norm_rms_epsilon", float32(d.Eps))
	add("rope.dimension_count", d.Rope.Width)
	add("rope.freq_base", float32(d.Rope.Theta))
	if d.Rope.Linear > 0 {
		add("rope.scaling.type", "linear")
		add("rope.scaling.factor", float32(d.Rope.Linear))
	}
	if y := d.Rope.YaRN; y != nil {
		if d.Rope.Linear > 0 || y.Scale != 0 || y.Fractions {
			return nil, errors.New("got YaRN with a scale of its own, a ramp between frequencies, or positions that are divided too, which GGUF cannot say")
		}
		add("rope.scaling.type", "yarn")
		add("rope.scaling.factor", float32(y.Factor))
		add("rope.scaling.original_context_length", y.Original)
		if y.BetaFast != 32 || y.BetaSlow != 1 {
			add("rope.scaling.yarn_beta_fast", float32(y.BetaFast))
			add("rope.scaling.yarn_beta_slow", float32(y.BetaSlow))
		}
	}
	if r := d.Recurrent; r != nil {
		n := d.Rope.Width / 2
		add("rope.dimension_sections", []int32{int32((n + 2) / 3), int32((n + 1) / 3), int32(n / 3), 0})
		add("ssm.conv_kernel", r.Taps)
		add("ssm.state_size", r.KeyWidth)
		add("ssm.group_count", r.KeyHeads)
		add("ssm.time_step_rank", r.Heads)
		add("ssm.inner_size", r.Heads*r.ValueWidth)
		if n := interval(r.Attends); n > 0 {
			add("full_attention_interval", n)
		} else {
			recurrent := make([]bool, len(r.Attends))
			for i, attends := range r.Attends {
				recurrent[i] = !attends
			}
			add("attention.recurrent_layers", recurrent)
		}
	}
	text, err := m.ggufText()
	return append(keys, text...), err
}

// interval returns n where exactly every n-th layer has attention, otherwise 0.
func interval(attends []bool) int {
	n := slices.Index(attends, true) + 1
	for i, a := range attends {
		if n == 0 || a != ((i+1)%n == 0) {
			return 0
		}
	}
	return n
}

// ggufText returns the keys of tokenizer and template.
func (m *Model) ggufText() ([]gguf.Key, error) {
	var keys []gguf.Key
	if m.TokenizerJSON != nil {
		special, err := m.specialIDs()
		if err != nil {
			return nil, err
		}
		if keys, err = tokenizer.GGUFKeys(m.TokenizerJSON, m.Decoder.Vocab, special); err != nil {
			return nil, err
		}
	}
	var named []string
	for _, name := range slices.Sorted(maps.Keys(m.Chat.Templates)) {
		key := "tokenizer.chat_template"
		if name != "default" {
			key, named = key+"."+name, append(named, name)
		}
		keys = append(keys, gguf.Key{Name: key, Value: m.Chat.Templates[name]})
	}
	if named != nil {
		keys = append(keys, gguf.Key{Name: "tokenizer.chat_templates", Value: named})
	}
	return keys, nil
}

// specialIDs returns the ids of special tokens by their names in GGUF. Ending tokens that the tokenizer does not recognise by
// their text get one of three names.
func (m *Model) specialIDs() (map[string]uint32, error) {
	special := map[string]uint32{}
	for role, name := range map[string]string{"bos": "bos_token", "eos": "eos_token", "padding": "pad_token", "unknown": "unk_token"} {
		if id, ok := m.Tokenizer.ID(m.Chat.Tokens[name]); ok {
			special[role] = id
		}
	}
	known := m.Tokenizer.EndOfText()
	var rest []uint32
	for _, id := range m.Ends {
		if eos, ok := special["eos"]; !slices.Contains(known, id) && !(ok && id == eos) {
			rest = append(rest, id)
		}
	}
	for _, role := range []string{"eos", "eot", "eom"} {
		if _, ok := special[role]; !ok && len(rest) > 0 {
			special[role], rest = rest[0], rest[1:]
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("got %d more tokens that end a text than GGUF has keys for, want three", len(rest))
	}
	if _, ok := special["eos"]; !ok && len(known) > 0 {
		special["eos"] = known[0]
	}
	return special, nil
}

// hadamardKeys returns the keys that say which matrices expect a Hadamard transform, and describe it.
func (m *Model) hadamardKeys(folded []string, signs map[int][]float32) []gguf.Key {
	var keys []gguf.Key
	add := func(name string, value any) { keys = append(keys, gguf.Key{Name: hadamardPrefix + name, Value: value}) }
	version := uint32(1)
	if m.Decoder.Tied {
		version = 2
		add("tied_output", true)
	}
	var widths, values []int32
	for _, w := range slices.Sorted(maps.Keys(signs)) {
		widths = append(widths, int32(w))
		for _, s := range signs[w] {
			values = append(values, int32(s))
		}
	}
	add("version", version)
	add("block_size", uint32(m.Decoder.Rotation))
	add("transform", "normalized-sylvester-walsh-hadamard")
	add("axis", "input-last-dimension")
	add("sign_mode", "explicit")
	add("sign_widths", widths)
	add("sign_values", values)
	add("weight_names", folded)
	add("inverse_weight_names", []string{ggufNames["embed.weight"]})
	if m.Decoder.Recurrent != nil {
		add("gdn_v_grouped", true)
	}
	return keys
}
