package peft

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/op"
)

// withWhole adds norms and tables that choose selects, with numbers that float32 gives back after the offset of files.
func withWhole(c nn.Config, a *nn.Adapter, choose func(string) bool) *nn.Adapter {
	a.Whole = map[string]bool{}
	for _, p := range nn.Saveable(c) {
		if choose(p.Names[0]) {
			a.Whole[p.Names[0]] = true
			h := op.HostTensor{Format: op.F32, Shape: p.Shape}
			for i := range op.Count(p.Shape) {
				h.F32 = append(h.F32, 1+float32(i%17+len(a.Weights))/64)
			}
			a.Weights = append(a.Weights, h)
		}
	}
	return a
}

// What an adapter holds as a whole is read as it was written, and files name it as transformers does.
func TestWholeRoundTrip(t *testing.T) {
	cases := configs()
	qwen := *cases["hybrid"].Decoder
	qwen.Family = "qwen3.5"
	cases["qwen3.5"] = nn.OfDecoder(&qwen)
	tied := qwen
	tied.Tied = true
	cases["tied tables"] = nn.OfDecoder(&tied)
	for name, c := range cases {
		want := withWhole(c, random(c, 3, 2, all), all)
		for _, path := range []string{"x.lora.safetensors", "x"} {
			path = filepath.Join(t.TempDir(), path)
			roundTrip(t, name, c, want, path)
			about, f, err := Describe(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(about.Saved) < 4 || about.Matrices != len(nn.Matrices(c)) {
				t.Errorf("%s: got %d matrices and the modules %v, want %d and several", name, about.Matrices, about.Saved, len(nn.Matrices(c)))
			}
			if _, head := f.Tensor("base_model.model.lm_head.weight"); !head && (c.Decoder != nil || c.TiedHead) { // PEFT wants it where it is the embedding, too
				t.Errorf("%s: got no head in the file", name)
			}
			if name == "qwen3.5" {
				norm, _ := f.Tensor("base_model.model.model.layers.1.input_layernorm.weight")
				inFile, err := norm.Float32s()
				at := slices.IndexFunc(paramsOf(c, want), func(p nn.AdapterParam) bool { return p.Names[0] == "layers.1.norm1.weight" })
				if err != nil || inFile[3] != want.Weights[at].F32[3]-1 {
					t.Errorf("got %v in the file (%v), want the gain %v minus 1", inFile, err, want.Weights[at].F32[3])
				}
			}
			f.Close()
		}
	}
}

func paramsOf(c nn.Config, a *nn.Adapter) []nn.AdapterParam {
	c.Adapter = a
	return nn.AdapterParams(c)
}

// Names that wrappers leave in files are understood, and what does not belong to the model is refused by name.
func TestWholeNames(t *testing.T) {
	c := configs()["hybrid"]
	tied := *c.Decoder
	tied.Tied = true
	both := nn.OfDecoder(&tied)
	const lora = "base_model.model.model.layers.1.mlp.up_proj.lora_"
	base := []safetensors.Tensor{
		safetensors.FromFloat32s(lora+"A.weight", []int{2, 64}, make([]float32, 128)), safetensors.FromFloat32s(lora+"B.weight", []int{96, 2}, make([]float32, 192)),
	}
	table := func(name string, with float32) safetensors.Tensor {
		values := make([]float32, 96*64)
		values[5] = with
		return safetensors.FromFloat32s(name, []int{96, 64}, values)
	}
	norm := func(name string) safetensors.Tensor {
		return safetensors.FromFloat32s(name, []int{64}, make([]float32, 64))
	}
	for name, x := range map[string]struct {
		c       nn.Config
		saved   string
		tensors []safetensors.Tensor
		want    string // in the error, "": none
	}{
		"head":              {c, `["lm_head"]`, []safetensors.Tensor{table("base_model.model.lm_head.weight", 1)}, ""},
		"wrapper":           {c, `["lm_head"]`, []safetensors.Tensor{table("base_model.model.lm_head.modules_to_save.default.weight", 1)}, ""},
		"norms":             {c, `["input_layernorm","norm"]`, []safetensors.Tensor{norm("base_model.model.model.layers.0.input_layernorm.weight"), norm("base_model.model.model.norm.weight")}, ""},
		"not listed":        {c, `null`, []safetensors.Tensor{table("base_model.model.model.embed_tokens.weight", 1)}, ""},
		"not there":         {c, `["lm_head","embed_tokens"]`, []safetensors.Tensor{table("base_model.model.lm_head.weight", 1)}, `"embed_tokens", of which the file has no tensor`},
		"another":           {c, `["score"]`, []safetensors.Tensor{norm("base_model.model.score.weight")}, "neither A nor B"},
		"matrix":            {c, `["down_proj"]`, []safetensors.Tensor{norm("base_model.model.model.layers.0.mlp.down_proj.weight")}, "neither A nor B"},
		"layer":             {c, `["input_layernorm"]`, []safetensors.Tensor{norm("base_model.model.model.layers.7.input_layernorm.weight")}, "neither A nor B"},
		"shape":             {c, `["lm_head"]`, []safetensors.Tensor{norm("base_model.model.lm_head.weight")}, "got the shape (64), want (96, 64)"},
		"not a list":        {c, `"lm_head"`, nil, "modules_to_save"},
		"twice":             {c, `["lm_head"]`, []safetensors.Tensor{table("base_model.model.lm_head.weight", 1), table("lm_head.weight", 1)}, "several tensors"},
		"tied":              {both, `["embed_tokens"], "ensure_weight_tying": true`, []safetensors.Tensor{table("base_model.model.model.embed_tokens.weight", 1)}, ""},
		"tied, both":        {both, `["embed_tokens","lm_head"]`, []safetensors.Tensor{table("base_model.model.model.embed_tokens.weight", 1), table("base_model.model.lm_head.weight", 1)}, ""},
		"tied, not listed":  {both, `null`, []safetensors.Tensor{table("base_model.model.model.embed_tokens.weight", 1)}, ""},
		"tied, made two":    {both, `["embed_tokens"]`, []safetensors.Tensor{table("base_model.model.model.embed_tokens.weight", 1)}, "ensure_weight_tying"},
		"tied, another":     {both, `["embed_tokens","lm_head"]`, []safetensors.Tensor{table("base_model.model.model.embed_tokens.weight", 1), table("base_model.model.lm_head.weight", 2)}, "want the same"},
		"tied, head alone":  {both, `["lm_head"]`, []safetensors.Tensor{table("base_model.model.lm_head.weight", 1)}, "one table in this model"},
		"numbers not there": {c, `["lm_head"]`, []safetensors.Tensor{table("base_model.model.lm_head.weight", float32(math.Inf(1)))}, "finite"},
	} {
		dir := t.TempDir()
		if err := safetensors.WriteFile(filepath.Join(dir, ModelName), slices.Concat(base, x.tensors), nil); err != nil {
			t.Fatal(err)
		}
		config := `{"peft_type":"LORA","r":2,"lora_alpha":4,"modules_to_save":` + x.saved + `}`
		if err := os.WriteFile(filepath.Join(dir, ConfigName), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := Load(dir, x.c)
		switch {
		case x.want == "" && err != nil:
			t.Errorf("%s: got %v", name, err)
		case x.want == "" && len(a.whole) == 0:
			t.Errorf("%s: nothing was read", name)
		case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want) || !strings.HasPrefix(err.Error(), dir)):
			t.Errorf("%s: got %v, want %q", name, err, x.want)
		}
	}
}

// A whole parameter has no half, and one adapter has it.
func TestWholeIsNotAddedUp(t *testing.T) {
	c := configs()["delta"]
	load := func(choose func(string) bool) *Adapter {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := Save(path, c, withWhole(c, random(c, 2, 1, all), choose), ""); err != nil {
			t.Fatal(err)
		}
		a, err := Load(path, c)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	head, norms := load(func(name string) bool { return name == "lm_head.weight" }), load(func(name string) bool { return strings.Contains(name, "norm") })
	if _, err := head.Times(0.5); err == nil || !strings.Contains(err.Error(), "want 1") {
		t.Errorf("got %v, want half of a table to be refused", err)
	}
	if joined := join(t, c, Weighted{head, 1}, Weighted{norms, 1}); len(joined.Whole) != 1+len(norms.whole) {
		t.Errorf("got %d whole parameters, want those of both", len(joined.Whole))
	}
	if _, err := Join(c, Weighted{norms, 1}, Weighted{norms, 1}); err == nil || !strings.Contains(err.Error(), "which another adapter holds too") {
		t.Errorf("got %v, want the same norms twice to be refused", err)
	}
}
