package public

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/nn/arch"
)

// hybrid is a small hybrid all of whose matrices have whole groups of 128 inputs.
func hybrid(rotation int) *Model {
	d := *decoders()["qwen3.5"]
	d.Width, d.MLP, d.HeadWidth, d.Rotation = 128, 256, 64, rotation
	d.Recurrent = &arch.Recurrent{KeyHeads: 1, Heads: 2, KeyWidth: 64, ValueWidth: 64, Taps: 4, Attends: []bool{false, true}}
	return random(&d, 128)
}

// directory exports a model, and returns what the directory's files have in them.
func directory(t *testing.T, m *Model) (dir, config string, tensors map[string]safetensors.Tensor) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "m") + "/"
	if err := m.Export(dir, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	tensors = map[string]safetensors.Tensor{}
	for _, name := range file.Names() {
		tensors[name], _ = file.Tensor(name)
	}
	return dir, string(data), tensors
}

// A rotated model is written in MLX's form, whose names, axes and norms differ from Hugging Face's, and read as it was.
func TestRotatedDirectory(t *testing.T) {
	m := hybrid(64)
	dir, config, tensors := directory(t, m)
	got, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Decoder, m.Decoder) {
		t.Errorf("got %+v, want %+v", got.Decoder, m.Decoder)
	}
	sameWeights(t, dir, got, m)

	const head, query = "language_model.lm_head", "language_model.model.layers.1.self_attn.q_proj"
	signs := func(name string, change func(s []float32)) func() {
		return func() {
			s, err := tensors[name].Float32s()
			if err != nil {
				t.Fatal(err)
			}
			change(s)
			tensors[name] = safetensors.FromFloat32s(name, []int{len(s)}, s)
		}
	}
	for name, c := range map[string]struct {
		config, with string
		change       func()
		want         string
	}{
		"schema":       {`"schema_version": 2`, `"schema_version": 3`, nil, "schema_version: got 3, want 2"},
		"base":         {`"base_model_type": "qwen3_5"`, `"base_model_type": "llama"`, nil, `base_model_type: got "llama", want "qwen3_5"`},
		"layout":       {`"grouped"`, `"tiled"`, nil, `gdn_activation_layout: got "tiled", want "grouped"`},
		"a block":      {`"block": 64`, `"block": 32`, nil, "want one size"},
		"no block":     {`"block": 64`, `"block": 0`, nil, "a block in config.json of 0, want both, for its input is rotated"},
		"no module":    {`"path": "lm_head"`, `"path": "lm_foot"`, nil, "lm_head.weight: got signs: true, a block in config.json of 0"},
		"twice":        {`"path": "lm_head"`, `"path": "model.embed_tokens"`, nil, `got "model.embed_tokens" with a block of 64, want each module once`},
		"not rotated":  {`"model_type": "prism_hadamard_qwen35"`, `"model_type": "qwen3_5"`, nil, "want neither, for its input is not rotated"},
		"no signs":     {"", "", func() { delete(tensors, query+".signs") }, query + ".signs is missing"},
		"other signs":  {"", "", signs(query+".signs", func(s []float32) { s[3] = -s[3] }), "want the same: both matrices have one input"},
		"half a sign":  {"", "", signs(head+".signs", func(s []float32) { s[7] = 0.5 }), "lm_head.signs: got 0.5 at 7, want 1 or -1"},
		"other biases": {"", "", func() { tensors[head+".biases"] = renamed(tensors[head+".scales"], head+".biases") }, "want the bias −scale of ternary weights"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, config, tensors = directory(t, m); c.change != nil {
				c.change()
			}
			if !strings.Contains(config, c.config) {
				t.Fatalf("config.json has no %s", c.config)
			}
			refused(t, writeDir(t, strings.Replace(config, c.config, c.with, 1), tensors), c.want)
		})
	}
}

func renamed(t safetensors.Tensor, name string) safetensors.Tensor {
	t.Name = name
	return t
}

// MLX stores the convolution of a hybrid with its taps in front, and adds 1 to the gains of the norms that Hugging Face's files
// have without it.
func TestHybridConvertedByMLX(t *testing.T) {
	m := hybrid(0)
	_, config, tensors := directory(t, m)
	for name, x := range tensors {
		switch {
		case strings.HasSuffix(name, "conv1d.weight"):
			x.Shape = []int{x.Shape[0], x.Shape[2], 1}
			tensors[name] = x
		case strings.Contains(name, "norm") && !strings.HasSuffix(name, "linear_attn.norm.weight"):
			gains, err := x.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			for i := range gains {
				gains[i]++
			}
			tensors[name] = safetensors.FromFloat32s(name, x.Shape, gains)
		}
	}
	got, err := Open(writeDir(t, config, tensors), Options{})
	if err != nil {
		t.Fatal(err)
	}
	sameWeights(t, "converted by MLX", got, m)
}
