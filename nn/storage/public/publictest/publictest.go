// Package publictest writes small random models of public families as GGUF files, for tests. They are no good for
// measurements: their output is noise.
package publictest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
)

// Families are the values of general.architecture that [Parts] supports.
var Families = []string{"qwen3", "qwen35"}

// Sizes of every model.
const (
	Vocab   = 258 // the bytes, <|im_start|> and <|im_end|>, which ends a text
	Width   = 256
	Context = 64
	End     = Vocab - 1
)

// Template is the chat template of these models.
const Template = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}" +
	"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

// File writes a model of a family to a temporary directory of the test, and returns its path.
func File(t testing.TB, family string) string {
	t.Helper()
	keys, tensors := Parts(family)
	path := filepath.Join(t.TempDir(), family+".gguf")
	if err := gguf.WriteFile(path, keys, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

// Parts returns the keys and tensors of a model of a family, the same ones every time.
func Parts(family string) ([]gguf.Key, []gguf.Source) { return parts(family, Vocab, Width) }

// SmallParts is [Parts] of half the width and with eight tokens, which takes a fraction of the time to read.
func SmallParts(family string) ([]gguf.Key, []gguf.Source) { return parts(family, 8, Width/2) }

func parts(family string, vocab, width int) ([]gguf.Key, []gguf.Source) {
	b := &builder{vocab: vocab, width: width, random: rand.New(rand.NewPCG(1, 2))}
	b.key("general.architecture", family)
	b.sizes(family + ".")
	b.tokenizer()
	b.ternary("token_embd.weight", b.vocab, b.width)
	b.gain("output_norm.weight", b.width)
	if family == "qwen35" {
		b.hybrid(family + ".")
	} else {
		for i := range 2 {
			b.attention(fmt.Sprintf("blk.%d.", i), 1)
			b.mlp(fmt.Sprintf("blk.%d.", i), "ffn_norm.weight")
		}
	}
	return b.keys, b.tensors
}

type builder struct {
	vocab, width int // of which heads are a quarter

	random  *rand.Rand
	keys    []gguf.Key
	tensors []gguf.Source
}

func (b *builder) key(name string, value any) {
	b.keys = append(b.keys, gguf.Key{Name: name, Value: value})
}

func (b *builder) sizes(prefix string) {
	b.key(prefix+"block_count", uint32(2))
	b.key(prefix+"context_length", uint32(Context))
	b.key(prefix+"embedding_length", uint32(b.width))
	b.key(prefix+"feed_forward_length", uint32(2*b.width))
	b.key(prefix+"attention.head_count", uint32(4))
	b.key(prefix+"attention.head_count_kv", uint32(1))
	b.key(prefix+"attention.key_length", uint32(b.width/4))
	b.key(prefix+"attention.value_length", uint32(b.width/4))
	b.key(prefix+"attention.layer_norm_rms_epsilon", float32(1e-6))
	b.key(prefix+"rope.freq_base", float32(1e6))
}

// tokenizer adds a vocabulary with a token for each byte, as far as there is room, spelled as byte-level tokenizers do.
func (b *builder) tokenizer() {
	var tokens []string
	other := rune(256)
	for c := range rune(256) {
		if c > ' ' && c < 0x7f || c > 0xa0 && c != 0xad {
			tokens = append(tokens, string(c))
			continue
		}
		tokens, other = append(tokens, string(other)), other+1
	}
	tokens = tokens[:b.vocab-2]
	types := make([]int32, b.vocab)
	for i := range types {
		types[i] = 1
	}
	types[b.vocab-2], types[b.vocab-1] = 3, 3
	b.key("tokenizer.ggml.model", "gpt2")
	b.key("tokenizer.ggml.pre", "qwen2")
	b.key("tokenizer.ggml.tokens", append(tokens, "<|im_start|>", "<|im_end|>"))
	b.key("tokenizer.ggml.token_type", types)
	b.key("tokenizer.ggml.merges", []string{"h e"}[:0])
	b.key("tokenizer.ggml.eos_token_id", uint32(b.vocab-1))
	b.key("tokenizer.chat_template", Template)
}

// ternary adds a ternary matrix with one scale per block of 128 weights.
func (b *builder) ternary(name string, rows, cols int) {
	var data []byte
	for range rows * cols / 128 {
		data = binary.LittleEndian.AppendUint16(data, 0x2c00+uint16(b.random.IntN(64))) // 1/16 and a little more
		for range 32 {
			code := byte(0)
			for i := range 4 {
				code |= byte(b.random.IntN(3)) << (2 * i)
			}
			data = append(data, code)
		}
	}
	b.tensors = append(b.tensors, gguf.Source{Name: name, Type: ggml.PQ2_0, Shape: []int{rows, cols}, Write: gguf.Bytes(data)})
}

// floats adds random numbers around a mean.
func (b *builder) floats(name string, mean float64, shape ...int) {
	n := 1
	for _, length := range shape {
		n *= length
	}
	var data []byte
	for range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(mean+0.1*b.random.NormFloat64())))
	}
	b.tensors = append(b.tensors, gguf.Source{Name: name, Type: ggml.F32, Shape: shape, Write: gguf.Bytes(data)})
}

func (b *builder) gain(name string, n int) { b.floats(name, 1, n) }

// attention adds an attention block. With two parts, the query matrix also holds gates.
func (b *builder) attention(block string, parts int) {
	b.gain(block+"attn_norm.weight", b.width)
	b.ternary(block+"attn_q.weight", parts*b.width, b.width)
	b.ternary(block+"attn_k.weight", b.width/4, b.width)
	b.ternary(block+"attn_v.weight", b.width/4, b.width)
	b.ternary(block+"attn_output.weight", b.width, b.width)
	b.gain(block+"attn_q_norm.weight", b.width/4)
	b.gain(block+"attn_k_norm.weight", b.width/4)
}

func (b *builder) mlp(block, norm string) {
	b.gain(block+norm, b.width)
	b.ternary(block+"ffn_gate.weight", 2*b.width, b.width)
	b.ternary(block+"ffn_up.weight", 2*b.width, b.width)
	b.ternary(block+"ffn_down.weight", b.width, 2*b.width)
}

// hybrid adds a block with the gated delta rule and one with attention.
func (b *builder) hybrid(prefix string) {
	b.key(prefix+"rope.dimension_count", uint32(16))
	b.key(prefix+"full_attention_interval", uint32(2))
	b.key(prefix+"ssm.conv_kernel", uint32(4))
	b.key(prefix+"ssm.state_size", uint32(b.width/4))
	b.key(prefix+"ssm.group_count", uint32(1))
	b.key(prefix+"ssm.time_step_rank", uint32(2))
	b.key(prefix+"ssm.inner_size", uint32(b.width))
	b.gain("blk.0.attn_norm.weight", b.width)
	b.ternary("blk.0.attn_qkv.weight", b.width+b.width/2, b.width)
	b.ternary("blk.0.attn_gate.weight", b.width, b.width)
	b.floats("blk.0.ssm_beta.weight", 0, 2, b.width)
	b.floats("blk.0.ssm_alpha.weight", 0, 2, b.width)
	b.floats("blk.0.ssm_conv1d.weight", 0.2, b.width+b.width/2, 4)
	b.floats("blk.0.ssm_a", -1, 2)
	b.floats("blk.0.ssm_dt.bias", 0, 2)
	b.gain("blk.0.ssm_norm.weight", b.width/2)
	b.ternary("blk.0.ssm_out.weight", b.width, b.width)
	b.mlp("blk.0.", "post_attention_norm.weight")
	b.attention("blk.1.", 2)
	b.mlp("blk.1.", "post_attention_norm.weight")
}
