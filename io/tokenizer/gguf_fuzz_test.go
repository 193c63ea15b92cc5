package tokenizer

import (
	"bytes"
	"strings"
	"testing"

	"bitgpu/io/gguf"
)

// Whatever a file's keys say, there is a tokenizer that works, or an error. Most seeds have few tokens, so that edits fall on all keys
// alike.
func FuzzFromGGUF(f *testing.F) {
	few := []gguf.Key{
		key("tokenizer.ggml.model", "gpt2"), key("tokenizer.ggml.tokens", []string{"a", "b", "Ġ", "1", "2", "ab", "Ġa", "12", "<s>", "<tool>"}),
		key("tokenizer.ggml.token_type", []int32{1, 1, 1, 1, 1, 1, 1, 1, 3, 4}), key("tokenizer.ggml.merges", []string{"a b", "Ġ a", "1 2"}),
		key("tokenizer.ggml.bos_token_id", uint32(8)), key("tokenizer.ggml.eos_token_id", int32(8)), key("tokenizer.ggml.add_bos_token", true),
	}
	pre := func(name string) []gguf.Key { return set(few, "tokenizer.ggml.pre", name) }
	for _, keys := range [][]gguf.Key{
		small(), pre("gpt-2"), pre("gpt-neox"), pre("llama-bpe"), pre("qwen2"), pre("qwen35"), pre("falcon3"),
		{key("tokenizer.ggml.model", "llama"), key("tokenizer.ggml.tokens", []string{"<unk>", "<s>", "<0x00>", "▁", "a", "b", "ab", "▁ab"}),
			key("tokenizer.ggml.token_type", []int32{2, 3, 6, 1, 1, 1, 1, 4}), key("tokenizer.ggml.scores", []float32{0, 0, 0, -1, -2, -3, 1, 2}), key("tokenizer.ggml.bos_token_id", uint32(1))},
	} {
		var b bytes.Buffer
		if err := gguf.Write(&b, keys, nil); err != nil {
			f.Fatal(err)
		}
		if _, _, err := FromGGUF(fileWith(f, keys...)); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.Parse("fuzz", data)
		if err != nil {
			return
		}
		tok, ends, err := FromGGUF(file)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "tokenizer: ") || !strings.Contains(err.Error(), "fuzz: ") {
				t.Fatalf("the error %q does not name the file", err)
			}
			return
		}
		for _, id := range append(ends, idsOf(tok, "ab 123 a<tool>\x00é", true)...) {
			if _, ok := tok.Token(id); !ok {
				t.Fatalf("id %d stands for nothing", id)
			}
		}
	})
}
