package tokenizer

import (
	"bytes"
	"testing"

	"bitgpu/io/gguf"
)

// Whatever a file's keys say, there is a tokenizer that works, or an error.
func FuzzFromGGUF(f *testing.F) {
	for _, keys := range [][]gguf.Key{
		small(), set(small(), "tokenizer.ggml.pre", "falcon3"),
		{key("tokenizer.ggml.model", "llama"), key("tokenizer.ggml.tokens", []string{"<unk>", "<s>", "<0x00>", "▁", "a", "b", "ab", "▁ab"}),
			key("tokenizer.ggml.token_type", []int32{2, 3, 6, 1, 1, 1, 1, 4}), key("tokenizer.ggml.scores", []float32{0, 0, 0, -1, -2, -3, 1, 2}), key("tokenizer.ggml.bos_token_id", uint32(1))},
	} {
		var b bytes.Buffer
		if err := gguf.Write(&b, keys, nil); err != nil {
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
			return
		}
		for _, id := range append(ends, idsOf(tok, "ab 123 a<tool>\x00é", true)...) {
			if _, ok := tok.Token(id); !ok {
				t.Fatalf("id %d stands for nothing", id)
			}
		}
	})
}
