package family

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/storage/public"
)

func find(t *testing.T, name string) Family {
	t.Helper()
	f, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// logits are those behind a few tokens, and behind one more that is read by itself.
func logits(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor]) []float32 {
	t.Helper()
	m, err := nn.NewModel(cpu.New(), c, w)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all := make([]float32, 2*c.Vocab)
	for i, ids := range [][]uint32{{1, 77, 500, 3, 3, 255, 9}, {42}} {
		if err := s.Forward(ids); err != nil {
			t.Fatal(err)
		}
		if err := s.Logits(all[i*c.Vocab : (i+1)*c.Vocab]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// A file is the model that is made in memory.
func TestFilesAreTheModel(t *testing.T) {
	for _, c := range []struct {
		name    string
		layouts []ggml.Layout
	}{
		{"1.7B-tiny", []ggml.Layout{ggml.LayoutPQ2_0, ggml.LayoutQ2_0, ggml.LayoutTQ2_0}},
		{"8B-tiny", []ggml.Layout{ggml.LayoutPQ2_0, ggml.LayoutQ2_0, ggml.LayoutTQ2_0}},
		{"27B-tiny", []ggml.Layout{ggml.LayoutPQ2_0, ggml.LayoutQ2_0}},
		{"2B4T-tiny", []ggml.Layout{ggml.LayoutI2_S}},
	} {
		f := find(t, c.name)
		const context = 64
		want := logits(t, f.Config(context), f.Weights())
		for _, l := range c.layouts {
			t.Run(c.name+"/"+l.String(), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "model.gguf")
				if err := f.WriteGGUF(path, l); err != nil {
					t.Fatal(err)
				}
				m, err := public.Open(path, public.Options{Context: context})
				if err != nil {
					t.Fatal(err)
				}
				if got := *m.Decoder; got.Vocab != f.Decoder.Vocab || got.Int8 != f.Decoder.Int8 || got.Squared != f.Decoder.Squared || got.Tied != f.Decoder.Tied {
					t.Fatalf("got %+v, want %+v", got, f.Decoder)
				}
				if m.Tokenizer == nil {
					t.Error("got no tokenizer, want one")
				}
				got := logits(t, nn.OfDecoder(m.Decoder), m.Weights)
				off, peak := 0.0, 0.0
				for i, w := range want {
					off, peak = max(off, math.Abs(float64(got[i]-w))), max(peak, math.Abs(float64(w)))
				}
				if !(off <= 1e-5*peak) || peak == 0 {
					t.Errorf("logits are off by %g of %g", off, peak)
				}
			})
		}
	}
}

// Every family can be written in every one of its layouts.
func TestEveryLayout(t *testing.T) {
	for _, name := range Names() {
		f := find(t, name).Tiny()
		for _, l := range f.Layouts() {
			if err := f.WriteGGUF(filepath.Join(t.TempDir(), "model.gguf"), l); err != nil {
				t.Errorf("%s as %v: %v", f.Name, l, err)
			}
		}
	}
	if err := find(t, "1.7B-tiny").WriteGGUF("none", ggml.LayoutI2_S); err == nil || !strings.Contains(err.Error(), "type: got I2_S") {
		t.Errorf("got %v, want a refusal of I2_S", err)
	}
}

func TestShapes(t *testing.T) {
	for name, want := range map[string]float64{ // billions of parameters
		"100M": 0.099, "qwen3-1.7B": 1.720, "4b": 4.022, "8B": 8.189, "27B": 26.896, "bitnet-2B4T": 2.413,
	} {
		f := find(t, name)
		c := f.Config(f.Decoder.Context)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := float64(c.ParamCount()) / 1e9; math.Abs(got-want) > 0.0006 {
			t.Errorf("%s: got %.4f billion parameters, want %.3f", name, got, want)
		}
	}
	if _, err := Find("9B"); err == nil || !strings.Contains(err.Error(), `got "9B", want one of qwen3-100M`) {
		t.Errorf("got %v, want a refusal with the names", err)
	}
}

// What a parameter is said to take is what it takes, but for γ.
func TestBytes(t *testing.T) {
	for _, name := range Names() {
		f := find(t, name).Tiny()
		for i, p := range nn.Params(f.Config(1)) {
			h := f.Tensor(i, p)
			if got, want := int64(h.Bytes()-4*len(h.Scales)), f.Bytes(p); got != want {
				t.Errorf("%s, %s: got %d bytes, want %d", f.Name, p.Names[0], got, want)
			}
		}
	}
}
