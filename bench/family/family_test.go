package family

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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

// logits returns the logits after a few tokens that are read at once, and after one more.
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

// A file of any layout, read again, computes what the model in memory does.
func TestFilesAreTheModel(t *testing.T) {
	for _, name := range Names() {
		f := find(t, name).Tiny()
		const context = 64
		for _, l := range f.Layouts() {
			t.Run(f.Name+"/"+l.String(), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "model.gguf")
				if err := f.WriteGGUF(path, l); err != nil {
					t.Fatal(err)
				}
				m, err := public.Open(path, public.Options{Context: context})
				if err != nil {
					t.Fatal(err)
				}
				as := f
				if as.Decoder.Int8 && l != ggml.LayoutI2_S { // as llama.cpp has it
					as.Decoder.Squared, as.Decoder.Int8 = false, false
				}
				decoder := as.Decoder
				decoder.Context = context
				if !reflect.DeepEqual(*m.Decoder, decoder) {
					t.Fatalf("got %+v, want %+v", *m.Decoder, decoder)
				}
				if ids, err := m.Tokenizer.Encode("the", false); err != nil || !slices.Equal(ids, []uint32{256, 'e'}) {
					t.Errorf("got the tokens %v (%v), want the merge th and a byte", ids, err)
				}
				got, want := logits(t, nn.OfDecoder(m.Decoder), m.Weights), logits(t, as.Config(context), as.Weights())
				off, peak := 0.0, 0.0
				for i, w := range want {
					off, peak = max(off, math.Abs(float64(got[i]-w))), max(peak, math.Abs(float64(w)))
				}
				if !(off <= 1e-5*peak) || peak == 0 {
					t.Errorf("got logits that are off by %g, want at most 1e-5 of the largest, %g", off, peak)
				}
			})
		}
	}
}

func TestLayoutsThatAFamilyDoesNotHave(t *testing.T) {
	f, path := find(t, "1.7B-tiny"), filepath.Join(t.TempDir(), "model.gguf")
	if err := f.WriteGGUF(path, ggml.LayoutI2_S); err == nil || !strings.Contains(err.Error(), "type: got I2_S, want one of [PQ2_0 Q2_0 TQ2_0] for qwen3-1.7B-tiny") {
		t.Errorf("got %v, want a refusal of I2_S", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("got %v, want no file", err)
	}
	if _, err := f.Layout("i2_s"); err == nil || !strings.Contains(err.Error(), `type: got "i2_s", want one of PQ2_0, Q2_0, TQ2_0 for qwen3-1.7B-tiny`) {
		t.Errorf("got %v, want a refusal with the names", err)
	}
	for name, want := range map[string]ggml.Layout{"": ggml.LayoutPQ2_0, "tq2_0": ggml.LayoutTQ2_0} {
		if got, err := f.Layout(name); got != want || err != nil {
			t.Errorf("%q: got %v (%v), want %v", name, got, err, want)
		}
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

// Every tensor takes the memory that Bytes announces, is the same each time, and differs from the one before.
func TestTensors(t *testing.T) {
	for _, name := range Names() {
		f := find(t, name).Tiny()
		var last op.HostTensor
		for i, p := range nn.Params(f.Config(1)) {
			h := f.Tensor(i, p)
			if got, want := int64(h.Bytes()-4*len(h.Scales)), f.Bytes(p); got != want { // without γ
				t.Errorf("%s, %s: got %d bytes, want %d", f.Name, p.Names[0], got, want)
			}
			if !reflect.DeepEqual(f.Tensor(i, p), h) {
				t.Errorf("%s, %s: made twice, it differs", f.Name, p.Names[0])
			}
			if reflect.DeepEqual(h, last) {
				t.Errorf("%s, %s: got the weights of the parameter before it", f.Name, p.Names[0])
			}
			last = h
		}
	}
}
