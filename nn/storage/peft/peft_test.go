package peft

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/atomicfile"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/op"
)

func configs() map[string]nn.Config {
	hybrid := &arch.Decoder{
		Vocab: 96, Width: 64, Layers: 2, MLP: 96, Heads: 4, KVHeads: 2, HeadWidth: 16, Context: 64, Eps: 1e-5, Rope: arch.Rope{Width: 16, Theta: 1e4},
		Gated: true, Recurrent: &arch.Recurrent{KeyHeads: 2, Heads: 4, KeyWidth: 8, ValueWidth: 16, Taps: 4, Attends: []bool{false, true}},
	}
	return map[string]nn.Config{
		"hybrid":    nn.OfDecoder(hybrid),
		"tied":      nn.Config{Vocab: 40, Width: 32, Layers: 2, InnerLR: 0.5}.WithDefaults(),
		"delta":     nn.Config{Vocab: 40, Width: 32, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 24, Heads: 3}.WithDefaults(),
		"tied head": nn.Config{Vocab: 40, Width: 32, Layers: 2, InnerLR: 0.5, TiedHead: true}.WithDefaults(),
	}
}

// random is an adapter with numbers everywhere, of those matrices that choose says.
func random(c nn.Config, rank int, scale float32, choose func(string) bool) *nn.Adapter {
	a := &nn.Adapter{Ranks: map[string]int{}, Scale: scale}
	for _, m := range nn.Matrices(c) {
		if choose(m.Name) {
			a.Ranks[m.Name] = rank
		}
	}
	c.Adapter = a
	rng := rand.New(rand.NewPCG(uint64(rank), 0))
	for _, p := range nn.AdapterParams(c) {
		h := op.HostTensor{Format: op.F32, Shape: p.Shape}
		for range op.Count(p.Shape) {
			h.F32 = append(h.F32, float32(rng.NormFloat64()))
		}
		row := 0
		for _, b := range p.Blocks {
			if p.B && b.Group < 0 { // rows of matrices without an adapter
				clear(h.F32[row*rank : (row+b.Rows)*rank])
			}
			row += b.Rows
		}
		a.Weights = append(a.Weights, h)
	}
	return a
}

func all(string) bool { return true }

func join(t *testing.T, c nn.Config, adapters ...Weighted) *nn.Adapter {
	t.Helper()
	a, err := Join(c, adapters...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// some leaves gaps within parameters of several matrices.
func some(name string) bool { return strings.Contains(name, "k_proj") || strings.Contains(name, "up") }

func same(t *testing.T, got, want *nn.Adapter) {
	t.Helper()
	if got.Scale != want.Scale || len(got.Weights) != len(want.Weights) {
		t.Fatalf("got the scale %v and %d tensors, want %v and %d", got.Scale, len(got.Weights), want.Scale, len(want.Weights))
	}
	for i, h := range want.Weights {
		if !slices.Equal(got.Weights[i].Shape, h.Shape) || !slices.Equal(got.Weights[i].F32, h.F32) {
			t.Errorf("tensor %d is another", i)
		}
	}
}

// roundTrip writes an adapter, and wants it to be read as it was.
func roundTrip(t *testing.T, name string, c nn.Config, want *nn.Adapter, path string) {
	t.Helper()
	if err := Save(path, c, want, "base"); err != nil {
		t.Fatal(err)
	}
	a, err := Load(path, c)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	same(t, join(t, c, Weighted{a, 1}), want)
}

// What was written is read, to the bit, from a lone file and from a directory.
func TestRoundTrip(t *testing.T) {
	for name, c := range configs() {
		for _, choose := range []func(string) bool{all, some} {
			want := random(c, 3, 2, choose)
			for _, path := range []string{"x.lora.safetensors", "x"} {
				roundTrip(t, name, c, want, filepath.Join(t.TempDir(), path))
			}
		}
	}
}

// A number with another bit is refused, by whom it is loaded and by whom it is shown.
func TestDamagedIsRefused(t *testing.T) {
	c := configs()["hybrid"]
	for path, name := range map[string]string{"x.lora.safetensors": "", "x": ModelName} {
		path = filepath.Join(t.TempDir(), path)
		if err := Save(path, c, random(c, 3, 2, all), "base"); err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(path, name)
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-100] ^= 1
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = Load(path, c)
		_, _, shown := Describe(path)
		for _, err := range []error{err, shown} {
			if err == nil || !strings.HasPrefix(err.Error(), name+": got the checksum ") {
				t.Errorf("got %v, want %s to be refused", err, name)
			}
		}
	}
}

// Files have the gates of a head behind its query, in one matrix of one A.
func TestGatedRows(t *testing.T) {
	c := configs()["hybrid"]
	want := random(c, 2, 1, all)
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Save(path, c, want, "base"); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, ok := f.Tensor("base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight")
	if _, gates := f.Tensor("base_model.model.model.layers.1.self_attn.gate_proj.lora_B.weight"); !ok || gates || b.Shape[0] != 2*4*16 {
		t.Fatalf("got %v, want one matrix of 128 rows", f.Names())
	}
	rows, _ := b.Float32s()
	c.Adapter = want
	for i, p := range nn.AdapterParams(c) {
		if p.B && strings.HasSuffix(p.Names[0], "q_proj.weight") {
			ours := want.Weights[i].F32
			gates := 4*16 + 2*2*16 // rows of queries, keys and values
			if !slices.Equal(rows[2*17:2*18], ours[2*(gates+1):2*(gates+2)]) || !slices.Equal(rows[2*33:2*34], ours[2*17:2*18]) {
				t.Error("row 17 of the file is not gate 1 of head 0, or row 33 not query 1 of head 1")
			}
		}
	}
}

// Several adapters add up: B·A of the join is the weighted sum of theirs.
func TestJoinAddsUp(t *testing.T) {
	for name, c := range configs() {
		one, two := random(c, 2, 3, all), random(c, 3, 0.5, some)
		open := func(a *nn.Adapter) *Adapter {
			path := filepath.Join(t.TempDir(), "x.safetensors")
			if err := Save(path, c, a, ""); err != nil {
				t.Fatal(err)
			}
			x, err := Load(path, c)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		joined := join(t, c, Weighted{open(one), 0.25}, Weighted{open(two), -2})
		want := products(t, c, one, 0.25)
		for m, v := range products(t, c, two, -2) {
			for i, x := range v {
				want[m][i] += x
			}
		}
		got := products(t, c, joined, 1)
		for m, v := range want {
			for i, x := range v {
				if math.Abs(got[m][i]-x) > 1e-4 {
					t.Fatalf("%s: %s[%d]: got %v, want %v", name, m, i, got[m][i], x)
				}
			}
		}
	}
}

// products are weight·scale·B·A of each matrix.
func products(t *testing.T, c nn.Config, a *nn.Adapter, weight float64) map[string][]float64 {
	t.Helper()
	matrices, err := split(c, a)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for _, m := range matrices {
		p := make([]float64, m.Rows*m.Cols)
		for i := range m.Rows {
			for j := range m.Cols {
				for r := range m.rank {
					p[i*m.Cols+j] += weight * m.scale * float64(m.b[i*m.rank+r]) * float64(m.a[r*m.Cols+j])
				}
			}
		}
		out[m.Name] = p
	}
	return out
}

// PEFT's patterns and its stabilised scale are understood.
func TestPatterns(t *testing.T) {
	s, err := parseConfig([]byte(`{"peft_type":"LORA","r":8,"lora_alpha":16,"use_rslora":true,"rank_pattern":{"up_proj":4,"layers.1.mlp.up_proj":2},"alpha_pattern":{"model.layers.1.mlp.up_proj":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]int{"layers.0.mlp.up_proj": 4, "layers.1.mlp.up_proj": 2, "layers.11.mlp.up_proj": 4, "layers.0.mlp.down_proj": 8} {
		if got := s.rank(module); got != want {
			t.Errorf("%s: got the rank %d, want %d", module, got, want)
		}
	}
	if got := s.scale("layers.1.mlp.up_proj", 2); math.Abs(got-3/math.Sqrt2) > 1e-12 {
		t.Errorf("got the scale %v, want 3/√2", got)
	}
}

// Each refusal says in a sentence what was found and what is wanted.
func TestRefusals(t *testing.T) {
	c := configs()["tied"]
	const good = `{"peft_type":"LORA","r":2,"lora_alpha":4}`
	tensor := func(name string, shape ...int) safetensors.Tensor {
		return safetensors.FromFloat32s(name, shape, make([]float32, op.Count(shape)))
	}
	up := "base_model.model.layers.0.mlp.up_proj.lora_"
	fits := []safetensors.Tensor{tensor(up+"A.weight", 2, 32), tensor(up+"B.weight", 128, 2)}
	for _, x := range []struct {
		config  string
		tensors []safetensors.Tensor
		want    string
	}{
		{good, fits, ""},
		{"", fits, "got no adapter_config.json in it or beside it"},
		{`{"peft_type":"LORA","r":0,"lora_alpha":4}`, fits, "r: got the rank 0, want 1 to"},
		{`{"peft_type":"LORA","r":2}`, fits, "lora_alpha is missing"},
		{`{"peft_type":"IA3","r":2,"lora_alpha":4}`, fits, `peft_type: got "IA3"`},
		{`{"peft_type":"LORA","r":2,"lora_alpha":4,"use_dora":true}`, fits, "use_dora"},
		{`{"peft_type":"LORA","r":2,"lora_alpha":4,"bias":"all"}`, fits, "bias"},
		{`{"peft_type":"LORA","r":2,"lora_alpha":4,"bias":""}`, fits, "bias: got"},
		{`[]`, fits, "got no JSON object"},
		{`{"peft_type":"LORA","r":3,"lora_alpha":4}`, fits, "got the shape (2, 32), want (3, 32)"},
		{good, fits[:1], "lora_B: got the shape"},
		{good, nil, "got no tensors"},
		{good, []safetensors.Tensor{tensor("score.weight", 2, 2)}, "neither A nor B of a layer's matrix"},
		{good, []safetensors.Tensor{tensor("lm_head.weight", 2, 2)}, "got the shape (2, 2), want (40, 32)"},
		{good, []safetensors.Tensor{tensor("layers.7.mlp.up_proj.lora_A.weight", 2, 32)}, "got an adapter of layers.7.mlp.up_proj, want one for the matrices of this model: it has 2 layers, with ttt.down"},
		{good, []safetensors.Tensor{tensor("layers.0.self_attn.q_proj.lora_A.weight", 2, 32)}, "got an adapter of layers.0.self_attn.q_proj"},
		{good, []safetensors.Tensor{fits[0], safetensors.FromFloat32s(up+"B.weight", []int{128, 2}, slices.Repeat([]float32{float32(math.NaN())}, 256))}, "want finite numbers"},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		meta := map[string]string{}
		if x.config != "" {
			meta[ConfigName] = x.config
		}
		if err := safetensors.WriteFile(path, x.tensors, meta); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, c)
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: got %v, want %q", x.config, err, x.want)
		}
	}
	// The configuration beside a lone file is as good.
	dir := t.TempDir()
	if err := safetensors.WriteFile(filepath.Join(dir, "x.safetensors"), fits, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ConfigName), []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "x.safetensors"), c); err != nil {
		t.Error(err)
	}
	if _, err := Load(filepath.Join(dir, "none"), c); err == nil {
		t.Error("no such file: want an error")
	}
}

// TestSaveFails: whichever change of the file system fails, the directory has one adapter, the old or the new, as a whole.
func TestSaveFails(t *testing.T) {
	c := configs()["tied"]
	older, newer := random(c, 3, 2, all), random(c, 2, 4, some)
	for at := 0; ; at++ {
		dir := filepath.Join(t.TempDir(), "notes")
		if err := Save(dir, c, older, "base"); err != nil {
			t.Fatal(err)
		}
		n, broken := 0, errors.New("broken")
		atomicfile.Fault = func(string) error {
			if n++; n == at+1 {
				return broken
			}
			return nil
		}
		err := Save(dir, c, newer, "base")
		atomicfile.Fault = nil
		a, opened := Load(dir, c)
		if opened != nil {
			t.Fatalf("change %d: %v", at, opened)
		}
		got, want := join(t, c, Weighted{a, 1}), older
		if got.Scale == newer.Scale {
			want = newer
		}
		same(t, got, want)
		if err == nil && want != newer {
			t.Errorf("change %d: the old adapter is there, and no error said so", at)
		}
		if err == nil {
			return
		}
	}
}

// Numbers that are not finite are not saved, and what was there stays.
func TestNotFiniteIsNotSaved(t *testing.T) {
	c := configs()["delta"]
	good, bad := random(c, 3, 2, all), random(c, 3, 2, all)
	bad.Weights[1].F32[4] = float32(math.Inf(-1))
	for _, path := range []string{"x.lora.safetensors", "x"} {
		path = filepath.Join(t.TempDir(), path)
		if err := Save(path, c, good, "base"); err != nil {
			t.Fatal(err)
		}
		if err := Save(path, c, bad, "base"); err == nil || !strings.Contains(err.Error(), path+": is not written: the adapter's numbers are not finite") {
			t.Errorf("got %v, want a refusal", err)
		}
		a, err := Load(path, c)
		if err != nil {
			t.Fatal(err)
		}
		same(t, join(t, c, Weighted{a, 1}), good)
	}
}

func TestTimes(t *testing.T) {
	c := configs()["delta"]
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Save(path, c, random(c, 3, 2, all), "base"); err != nil {
		t.Fatal(err)
	}
	a, err := Load(path, c)
	if err != nil {
		t.Fatal(err)
	}
	for weight, good := range map[float64]bool{0: true, -2: true, 1e30: true, 1e39: false, 3e38: false, 1e308: false, math.NaN(): false, math.Inf(-1): false} {
		w, err := a.Times(weight)
		if (err == nil) != good {
			t.Errorf("%v: got %v", weight, err)
		}
		if err != nil {
			continue
		}
		for _, h := range join(t, c, w).Weights {
			if op.FirstNotFinite(h.F32) >= 0 {
				t.Errorf("%v: got numbers that are not finite", weight)
			}
		}
	}
}
