package public

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"bitgpu/io/bitt"
	"bitgpu/io/chat"
	"bitgpu/io/modeldir"
	"bitgpu/io/safetensors"
	"bitgpu/io/trit"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// decoders are small ones that between them have every part of a description.
func decoders() map[string]*arch.Decoder {
	return map[string]*arch.Decoder{
		"qwen3": {
			Family: "qwen3", Vocab: 8, Width: 128, Layers: 2, MLP: 256, Heads: 4, KVHeads: 2, HeadWidth: 32, Context: 64, Eps: 1e-6, HeadNorms: true,
			Rope: arch.Rope{Width: 32, Theta: 1e6, YaRN: &arch.YaRN{Factor: 4, Original: 16, BetaFast: 32, BetaSlow: 1}},
		},
		"bitnet": {
			Family: "bitnet", Vocab: 8, Width: 64, Layers: 1, MLP: 128, Heads: 2, KVHeads: 1, HeadWidth: 32, Context: 64, Eps: 1e-5, Tied: true,
			Squared: true, SubNorms: true, Int8: true, Rope: arch.Rope{Width: 32, Theta: 5e5, Linear: 2},
		},
		"llama": {
			Family: "llama", Vocab: 8, Width: 64, Layers: 1, MLP: 64, Heads: 2, KVHeads: 2, HeadWidth: 8, Context: 64, Eps: 1e-5,
			Rope: arch.Rope{Width: 8, Theta: 1e4, Factors: []float64{1, 1, 4, 8}},
		},
		"llama with norms of each matrix": {
			Family: "llama", Vocab: 8, Width: 64, Layers: 2, MLP: 128, Heads: 2, KVHeads: 1, HeadWidth: 32, Context: 64, Eps: 1e-5, Int8: true, LinearNormEps: 1e-6,
			Rope: arch.Rope{Width: 32, Theta: 1e4},
		},
		"qwen3.5": {
			Family: "qwen3.5", Vocab: 8, Width: 64, Layers: 2, MLP: 128, Heads: 2, KVHeads: 1, HeadWidth: 32, Context: 64, Eps: 1e-6, HeadNorms: true, Gated: true,
			Rope: arch.Rope{Width: 8, Theta: 1e7}, Rotation: 32,
			Recurrent: &arch.Recurrent{KeyHeads: 1, Heads: 2, KeyWidth: 32, ValueWidth: 32, Taps: 4, Attends: []bool{false, true}},
		},
	}
}

// random makes a model of random weights, ternary ones with a scale each group of inputs; 0: each row.
func random(d *arch.Decoder, group int) *Model {
	r := rand.New(rand.NewPCG(3, 4))
	m := &Model{Path: "random", Decoder: d, Weights: new(nn.Weights[op.HostTensor]), Ends: []uint32{1, 2}}
	m.Chat = chat.Source{Templates: map[string]string{"default": "{{ bos_token }}{{ messages[0].content }}"}, Tokens: map[string]string{"bos_token": "<s>"}}
	nn.Walk(nn.OfDecoder(d), m.Weights, func(p nn.Param, h *op.HostTensor) {
		h.Shape = p.Shape
		decay := strings.Contains(p.Names[0], "in_proj_a") || strings.Contains(p.Names[0], "in_proj_b")
		switch {
		case p.Kind == layer.Gain || decay:
			h.F32 = make([]float32, op.Count(p.Shape))
			for i := range h.F32 {
				h.F32[i] = 0.5 + r.Float32()
				switch {
				case strings.HasSuffix(p.Names[0], ".signs"):
					h.F32[i] = float32(1 - 2*r.IntN(2))
				case strings.HasSuffix(p.Names[0], ".decay"):
					h.F32[i] *= -1
				}
			}
		case p.Kind == layer.Table && d.Rotation == 0:
			h.Format, h.F16 = op.BF16, make([]uint16, op.Count(p.Shape))
			for i := range h.F16 {
				h.F16[i] = 0x3f00 + uint16(r.IntN(128))
			}
		default:
			h.Format = op.Ternary
			rows, cols := p.Shape[0], p.Shape[1]
			h.Codes = trit.Zeros(rows, cols)
			for i := range rows {
				for c := range cols {
					trit.Set(h.Codes[i*trit.RowBytes(cols):], c, r.IntN(3)-1)
				}
			}
			if group == 0 || group >= cols {
				h.Absmean, h.Scales = true, make([]float32, rows)
				for i := range h.Scales {
					h.Scales[i] = float32(1+r.IntN(7)) / 64
				}
				return
			}
			h.Group, h.GroupScales = group, make([]uint16, rows*cols/group)
			for i := range h.GroupScales {
				h.GroupScales[i] = 0x2c00 + uint16(r.IntN(256))
			}
		}
	})
	m.template()
	return m
}

// bittParts are what a .bitt file of a model is written from.
func bittParts(t testing.TB, m *Model) (config json.RawMessage, tensors []safetensors.Tensor) {
	t.Helper()
	config, err := encodeBitt(m)
	if err != nil {
		t.Fatal(err)
	}
	return config, m.bittTensors()
}

// parseBitt writes the parts and reads them again.
func parseBitt(t testing.TB, config json.RawMessage, tensors []safetensors.Tensor) (*Model, error) {
	t.Helper()
	var file bytes.Buffer
	if err := bitt.Write(&file, config, nil, tensors, nil); err != nil {
		t.Fatal(err)
	}
	files, err := modeldir.Parse("x.bitt", file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return FromBitt(files, Options{})
}

// Every switch of a description and every form of weights is read as it was written.
func TestBittHoldsEverything(t *testing.T) {
	for name, d := range decoders() {
		for _, group := range []int{0, 32, 64} {
			m := random(d, group)
			config, tensors := bittParts(t, m)
			if !IsBitt(config) {
				t.Errorf("%s: the config %s is not known", name, config)
			}
			got, err := parseBitt(t, config, tensors)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !reflect.DeepEqual(got.Decoder, d) || !reflect.DeepEqual(got.Chat, m.Chat) || !reflect.DeepEqual(got.Ends, m.Ends) {
				t.Errorf("%s: got %+v, want %+v", name, got.Decoder, d)
			}
			if !reflect.DeepEqual(*got.Weights, *m.Weights) {
				t.Errorf("%s: the weights differ, in groups of %d", name, group)
			}
		}
	}
}

// What is broken is refused in one sentence that names the file and the place.
func TestBittRefusals(t *testing.T) {
	m := random(decoders()["qwen3"], 32)
	for want, change := range map[string]func(config *string, tensors map[string]*safetensors.Tensor){
		"decoder: version: got 2, want 1": func(c *string, _ map[string]*safetensors.Tensor) {
			*c = strings.Replace(*c, `"version":1`, `"version":2`, 1)
		},
		`decoder: json: unknown field "new`: func(c *string, _ map[string]*safetensors.Tensor) {
			*c = strings.Replace(*c, `"tied_head"`, `"new_head"`, 1)
		},
		"layers: got 9999999, want 1 to": func(c *string, _ map[string]*safetensors.Tensor) {
			*c = strings.Replace(*c, `"num_layers":2`, `"num_layers":9999999`, 1)
		},
		"end_tokens: got 99, want one of 8": func(c *string, _ map[string]*safetensors.Tensor) {
			*c = strings.Replace(*c, `"end_tokens":[1`, `"end_tokens":[99`, 1)
		},
		"layers.2.norm1.weight is missing": func(c *string, _ map[string]*safetensors.Tensor) {
			*c = strings.Replace(*c, `"num_layers":2`, `"num_layers":3`, 1)
		},
		"layers.1.norm1.weight: got a tensor that the config does not name": func(c *string, _ map[string]*safetensors.Tensor) {
			*c = strings.Replace(*c, `"num_layers":2`, `"num_layers":1`, 1)
		},
		"mlp.gate_proj.weight: got the shape (256, 32), want (128, 32)": func(c *string, _ map[string]*safetensors.Tensor) {
			*c = strings.Replace(*c, `"mlp_dim":256`, `"mlp_dim":128`, 1)
		},
		"norm_f.weight: got the type F16": func(_ *string, all map[string]*safetensors.Tensor) {
			x := all["norm_f.weight"]
			x.DType, x.Data = safetensors.F16, x.Data[:len(x.Data)/2]
		},
		"norm_f.weight: element 3 is not a finite number": func(_ *string, all map[string]*safetensors.Tensor) {
			copy(all["norm_f.weight"].Data[12:], []byte{0, 0, 0x80, 0x7f})
		},
		"embed.weight: element 5 is not a finite number": func(_ *string, all map[string]*safetensors.Tensor) {
			copy(all["embed.weight"].Data[10:], []byte{0xc0, 0x7f})
		},
		"self_attn.k_proj.weight: row 1, weight 8 has code 3": func(_ *string, all map[string]*safetensors.Tensor) {
			all["layers.1.self_attn.k_proj.weight"].Data[32+2] = 3
		},
		"mlp.up_proj.weight: row 0: scale 1 is +Inf": func(_ *string, all map[string]*safetensors.Tensor) {
			copy(all["layers.0.mlp.up_proj.weight_scale"].Data[2:], []byte{0, 0x7c})
		},
		"mlp.up_proj.weight_scale: got F16 (128, 8), want F32": func(_ *string, all map[string]*safetensors.Tensor) {
			all["layers.0.mlp.up_proj.weight_scale"].Shape = []int{128, 8}
		},
		"mlp.up_proj.weight_scale is missing": func(_ *string, all map[string]*safetensors.Tensor) {
			all["layers.0.mlp.up_proj.weight_scale"].Name = "other"
		},
	} {
		config, tensors := bittParts(t, m)
		text, byName := string(config), map[string]*safetensors.Tensor{}
		for i := range tensors {
			tensors[i].Data = bytes.Clone(tensors[i].Data)
			byName[tensors[i].Name] = &tensors[i]
		}
		change(&text, byName)
		_, err := parseBitt(t, json.RawMessage(text), tensors)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "x.bitt") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func FuzzBitt(f *testing.F) {
	for _, d := range decoders() {
		d.Width, d.MLP, d.Rotation = 32, 32, min(d.Rotation, 32)
		config, tensors := bittParts(f, random(d, 0))
		var file bytes.Buffer
		if err := bitt.Write(&file, config, nil, tensors, nil); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := modeldir.Parse("fuzz.bitt", data)
		if err != nil || !IsBitt(files.Config) {
			return
		}
		m, err := FromBitt(files, Options{})
		if err != nil {
			if !strings.Contains(err.Error(), "fuzz.bitt") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one sentence that names the file", err)
			}
			return
		}
		nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) { op.Check(p.Names[0], h.Shape, p.Shape...) })
		config, err := encodeBitt(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseBitt(t, config, m.bittTensors())
		if err != nil {
			t.Fatalf("what was read is refused when it is written: %v", err)
		}
		if !reflect.DeepEqual(again.Decoder, m.Decoder) || !reflect.DeepEqual(*again.Weights, *m.Weights) {
			t.Error("what was read is another model when it is written")
		}
	})
}
