package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"bitgpu/internal/units"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/op"

	"github.com/urfave/cli/v2"
)

func modelsCommand() *cli.Command {
	return &cli.Command{
		Name:      "models",
		Usage:     "list public models that bitgpu runs, and where to get them",
		UsageText: "bitgpu models [--json]",
		Description: example("Lists ternary models that others have published, in forms that bitgpu reads, with what they take in memory: the weights as\n"+
			"they are packed, and keys and values of a token in float16 (in float32 twice as much). Nothing is downloaded: the names\n"+
			"are those of repositories on Hugging Face, to be got with any program for that. Sizes are counted from the shapes that\n"+
			"are known of them; bitgpu inspect shows those of a file.",
			"bitgpu models",
			"bitgpu models --json"),
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "write JSON"}},
		Action: func(c *cli.Context) error {
			if c.Bool("json") {
				e := json.NewEncoder(c.App.Writer)
				e.SetIndent("", "  ")
				return e.Encode(describeModels())
			}
			w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "model\tparameters\tweights\tKV a token\tstate\tcontext\tlicence\trepository\tforms")
			for _, m := range describeModels() {
				state := "—"
				if m.State > 0 {
					state = units.Bytes(m.State)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.Name, million(m.Parameters), units.Bytes(m.Weights), units.Bytes(m.Cache), state, m.Context, m.Licence, m.Repository, m.Forms)
			}
			return w.Flush()
		},
	}
}

// modelInfo is a line of the list.
type modelInfo struct {
	Name       string `json:"name"`
	Repository string `json:"repository"` // on Hugging Face
	Forms      string `json:"forms"`
	Licence    string `json:"licence"`
	Family     string `json:"family"`
	Parameters int    `json:"parameters"`
	Weights    int64  `json:"weight_bytes"`
	Cache      int64  `json:"kv_bytes_per_token_f16"`
	State      int64  `json:"state_bytes"`
	Context    int    `json:"context"`
}

func describeModels() (list []modelInfo) {
	for _, k := range knownModels {
		c := k.config()
		list = append(list, modelInfo{
			k.name, k.repository, k.forms, k.licence, k.family, c.ParamCount(), c.WeightBytes(c.Packing()), c.Decoder.CacheBytes(2), c.Decoder.StateBytes(), k.context,
		})
	}
	return list
}

// million writes a number of parameters.
func million(n int) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.2f billion", float64(n)/1e9)
	}
	return fmt.Sprintf("%.0f million", float64(n)/1e6)
}

// knownModel is a public model with the shapes that its publisher names.
type knownModel struct {
	name, repository, forms, licence    string
	family                              string
	layers, width, mlp, heads, kv, head int
	vocab, context                      int
	tied                                bool
	keyHeads, valueHeads                int  // of a hybrid, of width 128
	listed                              bool // by devices
}

const (
	apache = "Apache 2.0"
	falcon = "TII Falcon licence"
	bonsai = "GGUF; also -unpacked, -mlx-2bit"
	packed = "safetensors, packed"
)

// knownModels in the order of the list.
var knownModels = []knownModel{
	{"Ternary-Bonsai-1.7B", "prism-ml/Ternary-Bonsai-1.7B-gguf", bonsai, apache, "qwen3", 28, 2048, 6144, 16, 8, 128, 151669, 32768, true, 0, 0, true},
	{"Ternary-Bonsai-4B", "prism-ml/Ternary-Bonsai-4B-gguf", bonsai, apache, "qwen3", 36, 2560, 9728, 32, 8, 128, 151669, 32768, true, 0, 0, true},
	{"Ternary-Bonsai-8B", "prism-ml/Ternary-Bonsai-8B-gguf", bonsai, apache, "qwen3", 36, 4096, 12288, 32, 8, 128, 151669, 65536, false, 0, 0, true},
	{"Ternary-Bonsai-27B", "prism-ml/Ternary-Bonsai-27B-unpacked", "safetensors; also GGUF, -mlx-2bit", apache, "qwen3.5", 64, 5120, 17408, 24, 4, 256, 248320, 262144, false, 16, 48, true},
	{"Ternary-Bonsai-2-27B", "prism-ml/Ternary-Bonsai-2-27B", "GGUF, rotated by Hadamard", apache, "qwen3.5", 64, 5120, 17408, 24, 4, 256, 248320, 262144, false, 16, 48, false},
	{"BitNet b1.58 2B4T", "microsoft/bitnet-b1.58-2B-4T", packed + "; also -bf16, -gguf", "MIT", "bitnet", 30, 2560, 6912, 20, 5, 128, 128256, 4096, true, 0, 0, true},
	{"bitnet_b1_58-large", "1bitLLM/bitnet_b1_58-large", "safetensors, masters", "MIT", "bitnet", 24, 1536, 4096, 16, 16, 96, 32002, 2048, true, 0, 0, false},
	{"bitnet_b1_58-3B", "1bitLLM/bitnet_b1_58-3B", "safetensors, masters", "MIT", "bitnet", 26, 3200, 8640, 32, 32, 100, 32002, 2048, true, 0, 0, false},
	{"Llama3-8B-1.58", "HF1BitLLM/Llama3-8B-1.58-100B-tokens", packed, "Llama 3 licence", "llama", 32, 4096, 14336, 32, 8, 128, 128256, 8192, false, 0, 0, false},
	{"Falcon3-7B-1.58bit", "tiiuae/Falcon3-7B-Instruct-1.58bit", packed + "; also -GGUF", falcon + " 2.0", "llama", 28, 3072, 23040, 12, 4, 256, 131072, 32768, false, 0, 0, false},
	{"Falcon3-10B-1.58bit", "tiiuae/Falcon3-10B-Instruct-1.58bit", packed + "; also -GGUF", falcon + " 2.0", "llama", 40, 3072, 23040, 12, 4, 256, 131072, 32768, false, 0, 0, false},
	{"Falcon-E-3B", "tiiuae/Falcon-E-3B-Instruct", packed + "; also GGUF; masters in the revision prequantized", falcon, "llama", 32, 2048, 13312, 16, 2, 128, 32768, 32768, false, 0, 0, true},
	{"TriLM 99M", "SpectraSuite/TriLM_99M_Unpacked", "safetensors", apache, "llama", 16, 512, 1280, 8, 8, 64, 50304, 2048, false, 0, 0, false},
	{"TriLM 560M", "SpectraSuite/TriLM_560M_Unpacked", "safetensors", apache, "llama", 24, 1280, 3072, 20, 20, 64, 50304, 2048, false, 0, 0, false},
	{"TriLM 1.5B", "SpectraSuite/TriLM_1.5B_Unpacked", "safetensors", apache, "llama", 24, 2048, 6144, 32, 32, 64, 50432, 2048, false, 0, 0, false},
	{"TriLM 3.9B", "SpectraSuite/TriLM_3.9B_Unpacked", "safetensors", apache, "llama", 30, 3072, 9216, 24, 24, 128, 50688, 2048, false, 0, 0, false},
}

// config is what the shapes amount to, but for what plays no part in sizes: the activation, rounding, the rotary embedding's base.
func (k knownModel) config() nn.Config {
	d := &arch.Decoder{
		Family: k.family, Vocab: k.vocab, Width: k.width, Layers: k.layers, MLP: k.mlp, Heads: k.heads, KVHeads: k.kv, HeadWidth: k.head,
		Context: k.context, Eps: 1e-6, Tied: k.tied, SubNorms: k.family == "bitnet", HeadNorms: k.family == "qwen3" || k.keyHeads > 0,
		Rope: arch.Rope{Width: k.head, Theta: 10_000},
	}
	if k.keyHeads > 0 {
		d.Gated, d.Rope.Width = true, k.head/4
		d.Recurrent = &arch.Recurrent{KeyHeads: k.keyHeads, Heads: k.valueHeads, KeyWidth: 128, ValueWidth: 128, Taps: 4}
		for i := range k.layers {
			d.Recurrent.Attends = append(d.Recurrent.Attends, i%4 == 3)
		}
	}
	return nn.OfDecoder(d)
}

// largestPublic is the bytes of the largest buffer of a public model that cannot be split: keys of a layer, or a matrix.
func largestPublic(c nn.Config) int64 {
	d := c.Decoder
	largest := 4 * int64(d.Context) * int64(d.KVHeads) * int64(d.HeadWidth)
	for _, p := range nn.Params(c) {
		if p.Layer >= 0 {
			largest = max(largest, int64(op.Count(p.Shape))/4)
		}
	}
	return largest
}
