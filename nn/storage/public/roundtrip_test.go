package public

import (
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/chat"
	"bitgpu/io/modeldir"
)

// readBitt reads a .bitt file as package storage does.
func readBitt(path string) (*Model, error) {
	files, err := modeldir.Open(path)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	return FromBitt(files, Options{})
}

// A model that is written as a .bitt file is read as it was, to the bit.
func TestBittRoundTrip(t *testing.T) {
	for path := range published(t) {
		m := open(t, path)
		to := filepath.Join(t.TempDir(), "model.bitt")
		if err := m.writeBitt(to); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got, err := readBitt(to)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if !reflect.DeepEqual(got.Decoder, m.Decoder) {
			t.Errorf("%s: got %+v, want %+v", path, got.Decoder, m.Decoder)
		}
		if !reflect.DeepEqual(*got.Weights, *m.Weights) {
			t.Errorf("%s: the weights differ", path)
		}
		sameText(t, path, got, m)
		info, err := os.Stat(to)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", path, info.Size())
	}
}

// sameText compares tokenizers by what they make of a text, ends and templates.
func sameText(t *testing.T, path string, got, want *Model) {
	t.Helper()
	slices.Sort(got.Ends)
	slices.Sort(want.Ends)
	if !slices.Equal(got.Ends, want.Ends) {
		t.Errorf("%s: got the ends %v, want %v", path, got.Ends, want.Ends)
	}
	if (got.Tokenizer == nil) != (want.Tokenizer == nil) || (got.Template == nil) != (want.Template == nil) {
		t.Fatalf("%s: got a tokenizer %v and a template %v, want %v and %v", path, got.Tokenizer != nil, got.Template != nil, want.Tokenizer != nil, want.Template != nil)
	}
	if want.Tokenizer != nil {
		const text = "The quick brown fox isn't lazy: 12345 dogs,\n\n  and café naïve हिन्दी — ok! <|im_start|>user<|eot_id|>"
		a, err := got.Tokenizer.Encode(text, true)
		if err != nil {
			t.Fatal(err)
		}
		b, err := want.Tokenizer.Encode(text, true)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a, b) {
			t.Errorf("%s: got the ids %v, want %v", path, a, b)
		}
	}
	if want.Template != nil {
		hello, err := chat.DecodeJSON([]byte(`[{"role":"user","content":"Hello"}]`))
		if err != nil {
			t.Fatal(err)
		}
		c := chat.Conversation{Messages: hello, AddGenerationPrompt: true}
		a, err1 := got.Template.Render(c)
		b, err2 := want.Template.Render(c)
		if a != b || err1 != nil || err2 != nil {
			t.Errorf("%s: got %q (%v), want %q (%v)", path, a, err1, b, err2)
		}
	}
}

// sameWeights compares codes, and the scales of those that are not zero, to the bit, and floats within a part of 1e-7.
func sameWeights(t *testing.T, path string, got, want *Model) {
	t.Helper()
	i := 0
	nn.Walk(nn.OfDecoder(want.Decoder), want.Weights, func(p nn.Param, b *op.HostTensor) {
		a := &(*got.Weights)[i]
		i++
		if a.Format != b.Format || !slices.Equal(a.Shape, b.Shape) {
			t.Errorf("%s: %s is %v %v, want %v %v", path, p.Names[0], a.Format, a.Shape, b.Format, b.Shape)
			return
		}
		if !slices.Equal(a.Codes, b.Codes) || !slices.Equal(a.F16, b.F16) {
			t.Errorf("%s: %s has other codes or 16-bit floats", path, p.Names[0])
			return
		}
		for j, x := range b.F32 {
			if math.Abs(float64(a.F32[j]-x)) > 1e-7*math.Abs(float64(x)) {
				t.Errorf("%s: %s: element %d is %v, want %v", path, p.Names[0], j, a.F32[j], x)
				return
			}
		}
		if b.Format != op.Ternary {
			return
		}
		x, y := &piece{h: a, cols: a.Shape[1]}, &piece{h: b, cols: b.Shape[1]}
		for r := range b.Shape[0] {
			for c := 0; c < x.cols; c += 32 {
				codes := b.Codes[(r*x.cols+c)/4:][:8]
				if u, v := x.h.ScaleOf(r, c), y.h.ScaleOf(r, c); u != v && !bytes.Equal(codes, bytes.Repeat([]byte{0x55}, 8)) {
					t.Errorf("%s: %s: row %d, input %d has the scale %v, want %v", path, p.Names[0], r, c, u, v)
					return
				}
			}
		}
	})
}

// Every model in every form that it has is read as it was: the same codes, scales, texts and logits.
func TestExportRoundTrips(t *testing.T) {
	for path, expected := range published(t) {
		m := open(t, path)
		tokens := expectedNumbers(t, expected, "tokens")
		want, _ := run(t, cpu.New(), m, tokens, 1, 0)
		forms := map[string]string{"model.gguf": "", "dir/": "", "model.bitt": ""}
		if strings.Contains(path, "qwen") && !strings.Contains(path, "tq") {
			forms["64.gguf"] = "q2_0"
		}
		if m.Decoder.LinearNormEps > 0 { // which GGUF cannot say
			delete(forms, "model.gguf")
		}
		for name, typ := range forms {
			to := filepath.Join(t.TempDir(), name)
			if name == "dir/" {
				to += "/"
			}
			err := m.Export(to, ExportOptions{Type: typ})
			if err != nil {
				t.Errorf("%s as %s: %v", path, name, err)
				continue
			}
			var got *Model
			if name == "model.bitt" {
				got, err = readBitt(to)
			} else {
				got, err = Open(to, Options{})
			}
			if err != nil {
				t.Errorf("%s as %s: %v", path, name, err)
				continue
			}
			label := path + " as " + name
			if !reflect.DeepEqual(got.Decoder, m.Decoder) {
				t.Errorf("%s: got %+v, want %+v", label, got.Decoder, m.Decoder)
			}
			sameText(t, label, got, m)
			sameWeights(t, label, got, m)
			logits, _ := run(t, cpu.New(), got, tokens, 1, 0)
			off, peak := 0.0, 0.0
			for i, x := range want {
				off, peak = max(off, math.Abs(float64(logits[i]-x))), max(peak, math.Abs(float64(x)))
			}
			if !(off <= 1e-6*peak) || name == "model.bitt" && off > 0 {
				t.Errorf("%s: the logits are off by %.2g of the largest", label, off/peak)
			}
		}
	}
}
