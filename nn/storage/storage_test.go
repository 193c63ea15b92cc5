package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/bitt"
	"bitgpu/io/modeldir"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"

	"github.com/google/go-cmp/cmp"
)

const reference = "../../testdata/reference"

var names = []string{"d32-none", "d36-absmean", "d32-delta", "d32-tied-head"}

// parts are a model taken apart, to be changed and put together again.
type parts struct {
	config    map[string]any
	tokenizer json.RawMessage
	tensors   []safetensors.Tensor
}

func takeApart(t testing.TB, name string) *parts {
	t.Helper()
	m, err := modeldir.Open(filepath.Join(reference, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	p := &parts{tokenizer: m.Tokenizer}
	if err := json.Unmarshal(m.Config, &p.config); err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Tensors.Names() {
		tensor, _ := m.Tensors.Tensor(n)
		p.tensors = append(p.tensors, tensor)
	}
	return p
}

func (p *parts) file(t testing.TB) []byte {
	t.Helper()
	config, err := json.Marshal(p.config)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := bitt.Write(&out, config, p.tokenizer, p.tensors, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (p *parts) find(t testing.TB, name string) *safetensors.Tensor {
	t.Helper()
	i := slices.IndexFunc(p.tensors, func(x safetensors.Tensor) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("no tensor %s", name)
	}
	return &p.tensors[i]
}

func (p *parts) remove(name string) {
	p.tensors = slices.DeleteFunc(p.tensors, func(x safetensors.Tensor) bool { return x.Name == name })
}

func (p *parts) pack(t testing.TB) {
	t.Helper()
	var out []safetensors.Tensor
	for _, x := range p.tensors {
		linear := strings.Contains(x.Name, "mlp.") || slices.ContainsFunc([]string{"down", "up", "query", "value"}, func(part string) bool {
			return strings.HasSuffix(x.Name, "ttt."+part+".weight")
		})
		if !linear {
			out = append(out, x)
			continue
		}
		codes, scale, err := pack(x)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, codes, scale)
	}
	p.tensors = out
}

func bfloats(x safetensors.Tensor) safetensors.Tensor {
	v, _ := x.Float32s()
	data := make([]byte, 0, 2*len(v))
	for _, f := range v {
		data = binary.LittleEndian.AppendUint16(data, uint16(math.Float32bits(f)>>16))
	}
	return safetensors.Tensor{Name: x.Name, DType: safetensors.BF16, Shape: x.Shape, Data: data}
}

func TestEveryFormGivesTheSameWeights(t *testing.T) {
	for _, name := range names {
		dir, err := Load(filepath.Join(reference, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		if dir.Tokenizer == nil || len(dir.Ignored) != 0 {
			t.Errorf("%s: tokenizer %v, ignored %v", name, dir.Tokenizer, dir.Ignored)
		}
		for _, file := range []string{"model.bitt", "model.safetensors"} {
			other, err := Load(filepath.Join(reference, name, file), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if d := cmp.Diff(dir.Weights, other.Weights); d != "" {
				t.Errorf("%s: %s differs from the directory: %s", name, file, d)
			}
		}
	}
}

// The packed weights are those of op.PackTernary over the master weights, γ to the bit.
func TestPackedEqualsPackedMasters(t *testing.T) {
	for _, name := range names {
		packed, err := Load(filepath.Join(reference, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		masters, err := Load(filepath.Join(reference, name), Options{Masters: true})
		if err != nil {
			t.Fatal(err)
		}
		c := packed.Config
		want := nn.MapWeights(c, masters.Weights, func(p nn.Param, h op.HostTensor) op.HostTensor {
			if p.Kind != layer.Linear {
				return h
			}
			if h.Format != op.F32 {
				t.Fatalf("%s: got %v, want F32", p.Names[0], h.Format)
			}
			return op.PackTernary(h, len(p.Names), c.WeightScale == nn.ScaleAbsmean)
		})
		if d := cmp.Diff(want, packed.Weights); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestHalfPrecisionWeightsAreReadAsTheirValues(t *testing.T) {
	for _, dtype := range []safetensors.DType{safetensors.F16, safetensors.BF16} {
		half, wide := takeApart(t, "d36-absmean"), takeApart(t, "d36-absmean")
		for i, x := range half.tensors {
			if dtype == safetensors.BF16 {
				half.tensors[i] = bfloats(x)
			} else {
				v, _ := x.Float32s()
				half.tensors[i], _ = safetensors.FromFloat16s(x.Name, x.Shape, v)
			}
			v, _ := half.tensors[i].Float32s()
			wide.tensors[i] = safetensors.FromFloat32s(x.Name, x.Shape, v)
		}
		a, err := Parse("half.bitt", half.file(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse("wide.bitt", wide.file(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		nn.Walk(a.Config, a.Weights, func(p nn.Param, h *op.HostTensor) {
			if dtype == safetensors.F16 && p.Kind == layer.Table {
				if h.Format != op.F16 {
					t.Errorf("%s: got %v, want F16", p.Names[0], h.Format)
				}
				x, _ := wide.find(t, p.Names[0]).Float32s()
				*h = op.HostTensor{Format: op.F32, Shape: h.Shape, F32: x}
			}
		})
		if d := cmp.Diff(b.Weights, a.Weights); d != "" {
			t.Errorf("%s: %s", dtype, d)
		}
	}
}

func TestBadModelsAreRefused(t *testing.T) {
	set := func(name string, at int, value float32) func(*testing.T, *parts) {
		return func(t *testing.T, p *parts) {
			x := p.find(t, name)
			v, _ := x.Float32s()
			v[at] = value
			*x = safetensors.FromFloat32s(name, x.Shape, v)
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	tests := []struct {
		about  string
		change func(*testing.T, *parts)
		want   string
	}{
		{"missing tensor", func(_ *testing.T, p *parts) { p.remove("layers.1.mlp.up_proj.weight") },
			"bitt: model.bitt: layers.1.mlp.up_proj.weight: the file has no such tensor, want shape (128, 32)"},
		{"transposed", func(t *testing.T, p *parts) {
			x := p.find(t, "layers.0.ttt.up.weight")
			x.Shape = []int{8, 32}
		}, "bitt: model.bitt: layers.0.ttt.up.weight: got shape (8, 32), want (32, 8)"},
		{"type of a gain", func(t *testing.T, p *parts) {
			x := p.find(t, "norm_f.weight")
			*x = safetensors.FromInt32s(x.Name, x.Shape, make([]int32, 32))
		}, "bitt: model.bitt: norm_f.weight: got type I32, want F32, F16 or BF16"},
		{"type of a matrix", func(t *testing.T, p *parts) {
			x := p.find(t, "layers.0.ttt.up.weight")
			*x = safetensors.FromInt32s(x.Name, x.Shape, make([]int32, 256))
		}, "layers.0.ttt.up.weight: got type I32, want F32, F16, BF16 or U8"},
		{"NaN in a matrix", set("layers.1.ttt.down.weight", 37, nan),
			"bitt: model.bitt: layers.1.ttt.down.weight: element 37 is NaN, want finite numbers"},
		{"infinity in a gain", set("layers.0.norm2.weight", 3, inf),
			"layers.0.norm2.weight: element 3 is -Inf, want finite numbers"},
		{"NaN in the embedding", set("embed.weight", 9599, nan), "embed.weight: element 9599 is NaN, want finite numbers"},
		{"a layer too many", func(_ *testing.T, p *parts) { p.config["num_layers"] = 1 },
			"layers.1."},
		{"a layer too few", func(_ *testing.T, p *parts) { p.config["num_layers"] = 3 },
			"layers.2.norm1.weight: the file has no such tensor, want shape (32)"},
		{"width", func(_ *testing.T, p *parts) { p.config["hidden_dim"] = 64 },
			"embed.weight: got shape (300, 32), want (300, 64)"},
		{"a huge config", func(_ *testing.T, p *parts) {
			p.config["hidden_dim"], p.config["num_layers"], p.config["vocab_size"] = 1<<17, 1<<12, 1<<24
		}, "embed.weight: got shape (300, 32), want (16777216, 131072)"},
		{"config", func(_ *testing.T, p *parts) { delete(p.config, "vocab_size") },
			"config: model.bitt: config: vocab_size is missing"},
		{"vocabulary", func(t *testing.T, p *parts) {
			p.config["vocab_size"] = 299
			for _, name := range []string{"embed.weight", "lm_head.weight"} {
				x := p.find(t, name)
				x.Shape, x.Data = []int{299, 32}, x.Data[:4*299*32]
			}
		}, "tokenizer: model.bitt: tokenizer: got 300 tokens, want 299, as vocab_size in model.bitt: config says"},
		{"code 3", func(t *testing.T, p *parts) {
			p.pack(t)
			x := p.find(t, "layers.0.mlp.down_proj.weight")
			x.Data = slices.Clone(x.Data)
			x.Data[33] |= 3 << 4
		}, "layers.0.mlp.down_proj.weight: row 1, byte 1: got code 3"},
		{"packed shape", func(t *testing.T, p *parts) {
			p.pack(t)
			x := p.find(t, "layers.0.mlp.down_proj.weight")
			x.Shape = []int{64, 16}
		}, "layers.0.mlp.down_proj.weight: got shape (64, 16), want (32, 32)"},
		{"no scale", func(t *testing.T, p *parts) {
			p.pack(t)
			p.remove("layers.0.ttt.up.weight_scale")
		}, "layers.0.ttt.up.weight: type U8 needs layers.0.ttt.up.weight_scale, but the file has no such tensor"},
		{"scale not a number", func(t *testing.T, p *parts) {
			p.pack(t)
			*p.find(t, "layers.0.ttt.up.weight_scale") = scaleTensor("layers.0.ttt.up.weight", []float32{nan})
		}, "layers.0.ttt.up.weight_scale: element 0 is NaN, want finite numbers"},
		{"negative scale", func(t *testing.T, p *parts) {
			p.pack(t)
			*p.find(t, "layers.0.ttt.up.weight_scale") = scaleTensor("layers.0.ttt.up.weight", []float32{-1})
		}, "layers.0.ttt.up.weight_scale: got -1, want a scale of at least 1e-05"},
		{"a scale without need", func(t *testing.T, p *parts) {
			p.tensors = append(p.tensors, scaleTensor("layers.0.ttt.up.weight", []float32{1}))
		}, "layers.0.ttt.up.weight_scale: found, but the config"},
		{"scales of int8 rows", func(t *testing.T, p *parts) {
			x := p.find(t, "lm_head.weight")
			*x = safetensors.FromInt8s(x.Name, x.Shape, make([]int8, 9600))
			p.tensors = append(p.tensors, scaleTensor(x.Name, make([]float32, 299)))
		}, "lm_head.weight_scale: got shape (299), want (300)"},
		{"another mixer's tensors", func(_ *testing.T, p *parts) {
			p.tensors = append(p.tensors, safetensors.FromFloat32s("layers.0.ttt.query.weight", []int{1}, []float32{1}))
		}, `layers.0.ttt.query.weight: found, but the config (num_layers 2, ttt_mixer "tied") has no such tensor`},
	}
	for _, test := range tests {
		t.Run(test.about, func(t *testing.T) {
			p := takeApart(t, "d32-none")
			test.change(t, p)
			_, err := Parse("model.bitt", p.file(t), Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if _, err := Parse("model.bitt", p.file(t), Options{Masters: true}); err == nil {
				t.Error("masters: accepted")
			}
		})
	}
}

func TestForeignTensorsAreListed(t *testing.T) {
	p := takeApart(t, "d32-none")
	p.tensors = append(p.tensors, safetensors.FromFloat32s("rotary.cache", []int{1}, []float32{1}))
	l, err := Parse("model.bitt", p.file(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.Ignored, []string{"rotary.cache"}) {
		t.Errorf("got %v, want rotary.cache", l.Ignored)
	}
}

// A float model is quantised from the file's own bytes: no second float copy is made.
func TestReadingTakesLittleMemory(t *testing.T) {
	const width = 512
	p := synthetic(t, `{"vocab_size":300,"hidden_dim":512,"num_layers":1,"inner_lr":0.1}`)
	p.tokenizer = takeApart(t, "d32-none").tokenizer
	data := p.file(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l, err := Parse("model.bitt", data, Options{})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(len(data))/5 {
		t.Errorf("want a fifth of the file's %d bytes at most, %d were taken", len(data), used)
	}
	down := (*l.Weights)[len(*l.Weights)-3] // before the last norm and the head
	if down.Format != op.Ternary || len(down.Codes) != width*ternary.RowBytes(4*width) {
		t.Errorf("got %v, want packed weights", down.Format)
	}
}

// synthetic is a float model of a configuration whose tokenizer knows the letters a and b.
func synthetic(t testing.TB, config string) *parts {
	t.Helper()
	c, err := nn.ParseConfig("config.json", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	p := &parts{tokenizer: json.RawMessage(`{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}`)}
	if err := json.Unmarshal([]byte(config), &p.config); err != nil {
		t.Fatal(err)
	}
	nn.Walk(c, new(nn.Weights[struct{}]), func(param nn.Param, _ *struct{}) {
		for _, name := range param.Names {
			shape := param.PartShape()
			v := make([]float32, op.Count(shape))
			for i := range v {
				v[i] = float32(i%7) - 3
			}
			p.tensors = append(p.tensors, safetensors.FromFloat32s(name, shape, v))
		}
	})
	return p
}

// Small models: what is to be found lies in the headers and in how they fit together.
func FuzzParse(f *testing.F) {
	for _, config := range []string{
		`{"vocab_size":2,"hidden_dim":4,"num_layers":1,"inner_lr":0.1}`,
		`{"vocab_size":2,"hidden_dim":8,"num_layers":1,"inner_lr":0.1,"ttt_mixer":"delta","weight_scale":"absmean"}`,
	} {
		p := synthetic(f, config)
		f.Add(p.file(f))
		p.pack(f)
		head := p.find(f, "lm_head.weight")
		*head = safetensors.FromInt8s(head.Name, head.Shape, make([]int8, head.Len()))
		p.tensors = append(p.tensors, scaleTensor(head.Name, []float32{1, 2}))
		f.Add(p.file(f))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse("fuzz.bitt", data, Options{})
		if err != nil {
			if !strings.Contains(err.Error(), "fuzz.bitt") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one sentence that names the file", err)
			}
			return
		}
		nn.Walk(l.Config, l.Weights, func(p nn.Param, h *op.HostTensor) { op.Check(p.Names[0], h.Shape, p.Shape...) })
	})
}
