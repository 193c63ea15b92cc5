package storage

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func open(t *testing.T, path string, o Options) *Loaded {
	t.Helper()
	l, err := Load(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Every way round through packed and float files gives the same ternary matrices and scales.
func TestExportKeepsTheTernaryWeights(t *testing.T) {
	for _, name := range names {
		dir := t.TempDir()
		first := open(t, filepath.Join(reference, name), Options{})
		from := first
		for i, step := range []struct {
			to string
			o  Layout
		}{
			{"packed.bitt", Layout{Pack: true}},
			{"packed/", Layout{Pack: true}},
			{"floats/", Layout{}},
			{"floats.bitt", Layout{}},
			{"again.bitt", Layout{Pack: true}},
		} {
			path := filepath.Join(dir, step.to)
			if strings.HasSuffix(step.to, "/") {
				path += "/"
			}
			if err := from.Export(path, step.o); err != nil {
				t.Fatal(err)
			}
			from = open(t, path, Options{})
			if d := cmp.Diff(first.Weights, from.Weights); d != "" {
				t.Fatalf("%s: step %d, %s: %s", name, i, step.to, d)
			}
			if d := cmp.Diff(first.Config, from.Config, cmp.AllowUnexported(nn.Config{})); d != "" {
				t.Errorf("%s: step %d, %s: config: %s", name, i, step.to, d)
			}
			want, wantErr := first.Tokenizer.Encode("ça", false)
			got, err := from.Tokenizer.Encode("ça", false)
			if wantErr != nil || err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: step %d: the tokenizer changed: %v, %v, want %v, %v", name, i, got, err, want, wantErr)
			}
		}
	}
}

// A float file written anew is the same tensor by tensor, byte by byte.
func TestExportCopiesFloats(t *testing.T) {
	a := open(t, filepath.Join(reference, "d36-absmean"), Options{})
	path := filepath.Join(t.TempDir(), "copy.bitt")
	if err := a.Export(path, Layout{}); err != nil {
		t.Fatal(err)
	}
	b := open(t, path, Options{})
	for _, name := range a.Files.Tensors.Names() {
		x, _ := a.Files.Tensors.Tensor(name)
		y, _ := b.Files.Tensors.Tensor(name)
		if d := cmp.Diff(x, y); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Unpacked floats quantise to the same codes and, to the bit, the same scale: whatever the share of zeros, its mean
// magnitude, and the rounding of γ.
func TestUnpackIsTheInverseOfPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, cols := rapid.IntRange(1, 9).Draw(t, "rows"), rapid.IntRange(1, 70).Draw(t, "cols")
		gamma := float32(math.Exp(rapid.Float64Range(math.Log(1.001e-5), 12).Draw(t, "log gamma")))
		density := rapid.Float64Range(0, 1).Draw(t, "density")
		h := op.HostTensor{Format: op.Ternary, Shape: []int{rows, cols}, Codes: make([]byte, rows*ternary.RowBytes(cols)), Scales: []float32{gamma}}
		seed, nonzero := rapid.Uint64().Draw(t, "seed"), 0
		w := make([]float32, rows*cols)
		for i := range w {
			if float64(op.Uniform(seed, uint32(2*i))) < density {
				w[i] = 1 - 2*float32(i&1)
				nonzero++
			}
		}
		ternary.Quantize(h.Codes, w, rows, cols, 1)
		unpacked, err := unpack("w", h)
		if err != nil {
			t.Fatal(err)
		}
		codes, scale, err := pack(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(codes.Data, h.Codes) {
			t.Fatalf("codes changed")
		}
		// A matrix of zeros has the smallest γ; it multiplies nothing.
		if got, _ := scale.Float32s(); nonzero > 0 && got[0] != gamma {
			t.Fatalf("got %v, want scale %v", got[0], gamma)
		}
	})
}

func TestUnpackALargeMatrix(t *testing.T) {
	rows, cols := 1024, 1024
	h := op.HostTensor{Format: op.Ternary, Shape: []int{rows, cols}, Codes: make([]byte, rows*cols/4), Scales: []float32{0.0371234}}
	for i := range h.Codes {
		h.Codes[i] = []byte{0b01100001, 0b00011001, 0b10101010, 0b01010101}[i*2654435761>>7%4]
	}
	unpacked, err := unpack("w", h)
	if err != nil {
		t.Fatal(err)
	}
	codes, scale, err := pack(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := scale.Float32s(); !slices.Equal(codes.Data, h.Codes) || got[0] != h.Scales[0] {
		t.Errorf("got %v, want scale %v; codes equal: %v", got[0], h.Scales[0], slices.Equal(codes.Data, h.Codes))
	}
}

func TestHeadTypes(t *testing.T) {
	l := open(t, filepath.Join(reference, "d32-none"), Options{})
	want := l.Weights.Head(l.Config).F32
	for _, test := range []struct {
		head   string
		format op.Format
		within float64 // of the largest magnitude
	}{{HeadAsIs, op.F32, 0}, {HeadF32, op.F32, 0}, {HeadF16, op.F16, 1.0 / 2048}, {HeadInt8, op.I8, 0.5 / 127 * 1.0001}} {
		path := filepath.Join(t.TempDir(), "model.bitt")
		if err := l.Export(path, Layout{Pack: true, Head: test.head}); err != nil {
			t.Fatal(err)
		}
		m := open(t, path, Options{})
		if m.Weights.Head(m.Config).Format != test.format || m.Weights.Embed().Format != test.format {
			t.Errorf("head %q: got %v and %v, want both tables as %v", test.head, m.Weights.Embed().Format, m.Weights.Head(m.Config).Format, test.format)
		}
		back := filepath.Join(t.TempDir(), "back.bitt")
		if err := m.Export(back, Layout{Head: HeadF32}); err != nil {
			t.Fatal(err)
		}
		got := open(t, back, Options{}).Weights.Head(l.Config).F32
		for r := range 300 {
			row, largest := want[r*32:(r+1)*32], 0.0
			for _, x := range row {
				largest = max(largest, math.Abs(float64(x)))
			}
			for i, x := range row {
				if off := math.Abs(float64(got[r*32+i] - x)); off > test.within*largest {
					t.Fatalf("head %q: row %d: %v became %v", test.head, r, x, got[r*32+i])
				}
			}
		}
	}
	if err := l.Export(filepath.Join(t.TempDir(), "model.bitt"), Layout{Head: "f8"}); err == nil {
		t.Error("head f8 accepted")
	}
}

// Save of what was loaded, as masters or packed, is a file that loads as the same.
func TestSaveIsReadBack(t *testing.T) {
	for _, name := range names {
		for _, o := range []Options{{}, {Masters: true}} {
			for _, pack := range []bool{false, true} {
				l := open(t, filepath.Join(reference, name), o)
				path := filepath.Join(t.TempDir(), "model.bitt")
				if err := Save(path, l.Config, l.TokenizerJSON, l.Weights, nil, Layout{Pack: pack}); err != nil {
					t.Fatal(err)
				}
				want := open(t, filepath.Join(reference, name), Options{})
				if d := cmp.Diff(want.Weights, open(t, path, Options{}).Weights); d != "" {
					t.Errorf("%s, %+v, pack %v: %s", name, o, pack, d)
				}
			}
		}
	}
}

func TestUnknownKeysOfTheConfigAreKept(t *testing.T) {
	p := takeApart(t, "d32-none")
	p.config["author"] = "somebody"
	l, err := Parse("model.bitt", p.file(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := l.Export(dir, Layout{}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil || config["author"] != "somebody" {
		t.Errorf("want author in %s (%v)", data, err)
	}
}

func TestCheckTarget(t *testing.T) {
	dir := t.TempDir()
	for path, ok := range map[string]bool{dir: true, dir + "/new/": true, dir + "/a.bitt": true, dir + "/a.gguf": false, dir + "/new": false} {
		if _, err := CheckTarget(path); (err == nil) != ok {
			t.Errorf("%s: got %v, want accepted %v", path, err, ok)
		}
	}
}
