package family

import (
	"fmt"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
)

// architectures maps families to the names of their architectures in files.
var architectures = map[string]string{"qwen3": "qwen3", "qwen3.5": "qwen35", "bitnet": "bitnet"}

// splitters maps families to the names, in files, of how their tokenizers split text.
var splitters = map[string]string{"qwen3": "qwen2", "qwen3.5": "qwen35", "bitnet": "llama-bpe"}

// keys returns the metadata of a file.
func (f Family) keys(l ggml.Layout) []gguf.Key {
	d := f.Decoder
	name := architectures[d.Family]
	if l == ggml.LayoutI2_S {
		name = "bitnet-b1.58"
	}
	keys := []gguf.Key{
		{Name: "general.architecture", Value: name},
		{Name: "general.name", Value: f.Name + " with random weights"},
	}
	number := func(key string, n int) { keys = append(keys, gguf.Key{Name: name + "." + key, Value: uint32(n)}) }
	float := func(key string, x float64) { keys = append(keys, gguf.Key{Name: name + "." + key, Value: float32(x)}) }
	number("block_count", d.Layers)
	number("context_length", d.Context)
	number("embedding_length", d.Width)
	number("feed_forward_length", d.MLP)
	number("attention.head_count", d.Heads)
	number("attention.head_count_kv", d.KVHeads)
	number("attention.key_length", d.HeadWidth)
	number("attention.value_length", d.HeadWidth)
	number("rope.dimension_count", d.Rope.Width)
	number("vocab_size", d.Vocab)
	float("attention.layer_norm_rms_epsilon", d.Eps)
	float("rope.freq_base", d.Rope.Theta)
	if y := d.Rope.YaRN; y != nil {
		keys = append(keys, gguf.Key{Name: name + ".rope.scaling.type", Value: "yarn"})
		float("rope.scaling.factor", y.Factor)
		number("rope.scaling.original_context_length", y.Original)
	}
	if r := d.Recurrent; r != nil {
		third := (d.Rope.Width/2 + 2) / 3
		sections := []int32{int32(third), int32(third), int32(d.Rope.Width/2 - 2*third), 0} // three positions per token, which are equal in text
		keys = append(keys, gguf.Key{Name: name + ".rope.dimension_sections", Value: sections})
		number("ssm.conv_kernel", r.Taps)
		number("ssm.state_size", r.KeyWidth)
		number("ssm.group_count", r.KeyHeads)
		number("ssm.time_step_rank", r.Heads)
		number("ssm.inner_size", r.Heads*r.ValueWidth)
		number("full_attention_interval", 4)
	}
	return append(keys, f.vocabulary()...)
}

// The kinds of tokens in files.
const (
	normalToken  = int32(1)
	controlToken = int32(3)
)

// vocabulary returns a byte-level tokenizer: 256 bytes, one merge, because some readers require one, and an end of text. The
// rest are words, so that what random weights write is readable.
func (f Family) vocabulary() []gguf.Key {
	tokens := make([]string, f.Decoder.Vocab)
	types := make([]int32, len(tokens))
	next := rune(256) // for bytes that are not printable characters
	for b := range 256 {
		c := rune(b)
		if b < '!' || b > '~' && b < 0xa1 || b == 0xad {
			c = next
			next++
		}
		tokens[b], types[b] = string(c), normalToken
	}
	const merged, end = 256, 257
	tokens[merged], types[merged] = "th", normalToken
	tokens[end], types[end] = "<|endoftext|>", controlToken
	for i := end + 1; i < len(tokens); i++ {
		tokens[i], types[i] = fmt.Sprintf("Ġ%d", i), normalToken
	}
	return []gguf.Key{
		{Name: "tokenizer.ggml.model", Value: "gpt2"},
		{Name: "tokenizer.ggml.pre", Value: splitters[f.Decoder.Family]},
		{Name: "tokenizer.ggml.tokens", Value: tokens},
		{Name: "tokenizer.ggml.token_type", Value: types},
		{Name: "tokenizer.ggml.merges", Value: []string{"t h"}},
		{Name: "tokenizer.ggml.bos_token_id", Value: uint32(end)},
		{Name: "tokenizer.ggml.eos_token_id", Value: uint32(end)},
		{Name: "tokenizer.ggml.padding_token_id", Value: uint32(end)},
		{Name: "tokenizer.ggml.add_bos_token", Value: false},
	}
}
