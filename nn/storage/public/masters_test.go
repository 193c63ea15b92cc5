package public

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/x448/float16"

	"bitgpu/io/hf"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/storage/public/publictest"
	"bitgpu/nn/ternary"
)

// valuesOf are a model's weights as they are multiplied with.
func valuesOf(m *Model) (all [][]float32) {
	nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) {
		if h.Format != op.Ternary {
			all = append(all, h.Float32s())
			return
		}
		rows, cols := h.Shape[0], h.Shape[1]
		w := make([]float32, rows*cols)
		ternary.Unpack(w, h.Codes, rows, cols)
		for i := range w {
			if h.Group > 0 {
				w[i] *= float16.Frombits(h.GroupScales[i/h.Group]).Float32()
			} else {
				w[i] *= h.Scales[i/cols*len(h.Scales)/rows]
			}
		}
		all = append(all, w)
	})
	return all
}

// differing is how many numbers of two models differ, of how many.
func differing(t *testing.T, a, b [][]float32) (n, of int) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("got %d parameters, want %d", len(a), len(b))
	}
	for i := range a {
		for j, x := range a[i] {
			of++
			if x != b[i][j] && !(math.Abs(float64(x-b[i][j])) < 1e-12) {
				n++
			}
		}
	}
	return n, of
}

// publishedIfThere are those of published, none without the folder.
func publishedIfThere(t *testing.T) map[string]string {
	if os.Getenv("BITGPU_PUBLIC_MODELS") == "" {
		return nil
	}
	return published(t)
}

func openMasters(t *testing.T, path string) *Model {
	t.Helper()
	o := Options{Floats: true}
	if strings.HasSuffix(path, "prequantized") {
		up := hf.HalfUp
		o.Masters = &up
	}
	m, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Masters become the weights that the model is read with; such that are ternary by groups and were changed stay what they are
// in every form that is written.
func TestMastersStayMasters(t *testing.T) {
	paths := []string{publictest.File(t, "qwen3"), publictest.File(t, "qwen35")}
	for path := range publishedIfThere(t) {
		switch filepath.Base(path) {
		case "b_bitnet_bf16_online", "e_falcon_e_prequantized", "d_trilm_unpacked", "a_qwen3", "b_qwen35", "qwen3_ptq1_0.gguf", "a_bitnet_packed", "e_falcon_e_packed":
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_packed") {
			if _, err := Open(path, Options{Floats: true}); !errors.Is(err, ErrNoMasters) {
				t.Errorf("%s: got %v, want that it has no masters", path, err)
			}
			continue
		}
		m, plain := openMasters(t, path), open(t, path)
		if n, of := differing(t, valuesOf(m.Packed()), valuesOf(plain)); n > 0 {
			t.Errorf("%s: %d of %d weights became others", path, n, of)
		}
		// A training changes them.
		r := rand.New(rand.NewPCG(1, 2))
		nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) {
			if h.Format != op.F32 {
				t.Fatalf("%s: %s is in %v, want F32", path, p.Names[0], h.Format)
			}
			for i := range h.F32 {
				if p.Kind == layer.Gain {
					h.F32[i] *= float32(math.Exp(r.NormFloat64())) // which no decay changes its sign by
				} else {
					h.F32[i] += float32(0.01 * r.NormFloat64())
				}
			}
		})
		want := valuesOf(m.Packed())
		dir := t.TempDir()
		for _, to := range []string{dir + "/masters/", dir + "/packed/", filepath.Join(dir, "m.bitt"), filepath.Join(dir, "m.gguf")} {
			from := m
			if strings.HasSuffix(to, "packed/") {
				if from = m.Packed(); m.Decoder.Masters.Group%128 != 0 {
					continue // which floats do not say
				}
			}
			if err := from.Export(to, ExportOptions{}); err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			read := func(o Options) (*Model, error) { return Open(to, o) }
			if strings.HasSuffix(to, ".bitt") {
				read = func(Options) (*Model, error) { return readBitt(to) }
			}
			got, err := read(Options{})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if n, of := differing(t, valuesOf(got), want); n > 0 {
				t.Errorf("%s as %s: %d of %d weights differ", path, filepath.Base(to), n, of)
			}
			if strings.HasSuffix(to, "masters/") {
				again, err := read(Options{Floats: true})
				if err != nil {
					t.Fatal(err)
				}
				if n, of := differing(t, valuesOf(again), valuesOf(m)); n > 0 || *again.Decoder.Masters != *m.Decoder.Masters {
					t.Errorf("%s: %d of %d masters differ, %+v, want %+v", path, n, of, again.Decoder.Masters, m.Decoder.Masters)
				}
			}
		}
	}
}
