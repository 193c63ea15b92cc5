// Package known lists ternary models that others have published and that bitgpu runs, with the shapes that their publishers
// state, so that their size can be computed before anything is downloaded.
//
// It is not used to read models: there the description in the file counts, see package storage/public.
package known

import (
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/arch"
)

// Model is a published model.
type Model struct {
	Name       string
	Repository string // on Hugging Face
	Forms      string // the file formats that it is published in
	Licence    string
	Family     string // as in arch.Decoder
	Context    int    // how many tokens it was trained for
	Listed     bool   // shown in the short list of "bitgpu devices"

	layers, width, mlp, heads, kv, head, vocab int
	tied                                       bool
	keyHeads, valueHeads                       int // of a hybrid; each head is 128 wide
}

const (
	apache = "Apache 2.0"
	falcon = "TII Falcon licence"
	bonsai = "GGUF; also -unpacked, -mlx-2bit"
	packed = "safetensors, packed"
)

// Models returns all known models, ordered by publisher and size.
func Models() []Model { return slices.Clone(models) }

var models = []Model{
	{"Ternary-Bonsai-1.7B", "prism-ml/Ternary-Bonsai-1.7B-gguf", bonsai, apache, "qwen3", 32768, true, 28, 2048, 6144, 16, 8, 128, 151669, true, 0, 0},
	{"Ternary-Bonsai-4B", "prism-ml/Ternary-Bonsai-4B-gguf", bonsai, apache, "qwen3", 32768, true, 36, 2560, 9728, 32, 8, 128, 151669, true, 0, 0},
	{"Ternary-Bonsai-8B", "prism-ml/Ternary-Bonsai-8B-gguf", bonsai, apache, "qwen3", 65536, true, 36, 4096, 12288, 32, 8, 128, 151669, false, 0, 0},
	{"Ternary-Bonsai-27B", "prism-ml/Ternary-Bonsai-27B-unpacked", "safetensors; also GGUF, -mlx-2bit", apache, "qwen3.5", 262144, true, 64, 5120, 17408, 24, 4, 256, 248320, false, 16, 48},
	{"Ternary-Bonsai-2-27B", "prism-ml/Ternary-Bonsai-2-27B", "GGUF, rotated by Hadamard; also -mlx-2bit", apache, "qwen3.5", 262144, false, 64, 5120, 17408, 24, 4, 256, 248320, false, 16, 48},
	{"BitNet b1.58 2B4T", "microsoft/bitnet-b1.58-2B-4T", packed + "; also -bf16, -gguf", "MIT", "bitnet", 4096, true, 30, 2560, 6912, 20, 5, 128, 128256, true, 0, 0},
	{"bitnet_b1_58-large", "1bitLLM/bitnet_b1_58-large", "safetensors, masters", "MIT", "bitnet", 2048, false, 24, 1536, 4096, 16, 16, 96, 32002, true, 0, 0},
	{"bitnet_b1_58-3B", "1bitLLM/bitnet_b1_58-3B", "safetensors, masters", "MIT", "bitnet", 2048, false, 26, 3200, 8640, 32, 32, 100, 32002, true, 0, 0},
	{"Llama3-8B-1.58", "HF1BitLLM/Llama3-8B-1.58-100B-tokens", packed, "Llama 3 licence", "llama", 8192, false, 32, 4096, 14336, 32, 8, 128, 128256, false, 0, 0},
	{"Falcon3-7B-1.58bit", "tiiuae/Falcon3-7B-Instruct-1.58bit", packed + "; also -GGUF", falcon + " 2.0", "llama", 32768, false, 28, 3072, 23040, 12, 4, 256, 131072, false, 0, 0},
	{"Falcon3-10B-1.58bit", "tiiuae/Falcon3-10B-Instruct-1.58bit", packed + "; also -GGUF", falcon + " 2.0", "llama", 32768, false, 40, 3072, 23040, 12, 4, 256, 131072, false, 0, 0},
	{"Falcon-E-3B", "tiiuae/Falcon-E-3B-Instruct", packed + "; also GGUF; masters in the revision prequantized", falcon, "llama", 32768, true, 32, 2048, 13312, 16, 2, 128, 32768, false, 0, 0},
	{"TriLM 99M", "SpectraSuite/TriLM_99M_Unpacked", "safetensors", apache, "llama", 2048, false, 16, 512, 1280, 8, 8, 64, 50304, false, 0, 0},
	{"TriLM 560M", "SpectraSuite/TriLM_560M_Unpacked", "safetensors", apache, "llama", 2048, false, 24, 1280, 3072, 20, 20, 64, 50304, false, 0, 0},
	{"TriLM 1.5B", "SpectraSuite/TriLM_1.5B_Unpacked", "safetensors", apache, "llama", 2048, false, 24, 2048, 6144, 32, 32, 64, 50432, false, 0, 0},
	{"TriLM 3.9B", "SpectraSuite/TriLM_3.9B_Unpacked", "safetensors", apache, "llama", 2048, false, 30, 3072, 9216, 24, 24, 128, 50688, false, 0, 0},
}

// Config returns the model's configuration with room for `context` tokens. It leaves out what does not affect sizes, such as
// activation, rounding and the base of the rotary embedding.
func (m Model) Config(context int) nn.Config {
	d := &arch.Decoder{
		Family: m.Family, Vocab: m.vocab, Width: m.width, Layers: m.layers, MLP: m.mlp, Heads: m.heads, KVHeads: m.kv, HeadWidth: m.head,
		Context: context, Eps: 1e-6, Tied: m.tied, SubNorms: m.Family == "bitnet", HeadNorms: m.Family == "qwen3" || m.keyHeads > 0,
		Rope: arch.Rope{Width: m.head, Theta: 10_000},
	}
	if m.keyHeads > 0 {
		d.Gated, d.Rope.Width = true, m.head/4
		d.Recurrent = &arch.Recurrent{KeyHeads: m.keyHeads, Heads: m.valueHeads, KeyWidth: 128, ValueWidth: 128, Taps: 4}
		for i := range m.layers {
			d.Recurrent.Attends = append(d.Recurrent.Attends, i%4 == 3)
		}
	}
	return nn.OfDecoder(d)
}
