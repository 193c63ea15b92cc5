package public

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

// pairedHybrid is a hybrid whose value heads of 128 lie in the order of GGUF so that every two neighbours have the same scale.
func pairedHybrid() *Model {
	m := random(&arch.Decoder{
		Family: "qwen3.5", Vocab: 8, Width: 256, Layers: 2, MLP: 512, Heads: 2, KVHeads: 1, HeadWidth: 128, Context: 64, Eps: 1e-6, HeadNorms: true, Gated: true,
		Rope:      arch.Rope{Width: 32, Theta: 1e7},
		Recurrent: &arch.Recurrent{KeyHeads: 2, Heads: 6, KeyWidth: 128, ValueWidth: 128, Taps: 4, Attends: []bool{false, true}},
	}, 256)
	nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) {
		if !strings.HasSuffix(p.Names[0], "linear_attn.out_proj.weight") {
			return
		}
		at := []int{0, 2, 4, 1, 3, 5} // of each head in the file: the first of both key heads, then the second ones, then the third
		h.Group, h.GroupScales = 128, make([]uint16, 256*6)
		for i := range h.GroupScales {
			h.GroupScales[i] = 0x2c00 + uint16(i/6+40*(at[i%6]/2))
		}
	})
	return m
}

// Blocks of TQ2_0 hold two value heads each, which GGUF has in another order than the layers.
func TestHybridWithTwoHeadsAGroup(t *testing.T) {
	m := pairedHybrid()
	paths := map[string]string{}
	for _, typ := range []string{"tq2_0", "pq2_0", ""} {
		paths[typ] = filepath.Join(t.TempDir(), "x.gguf")
		if err := m.Export(paths[typ], ExportOptions{Type: typ}); err != nil {
			t.Fatal(err)
		}
	}
	tokens := []float64{1, 5, 2, 7, 7, 0, 3, 4, 6, 1}
	want, _ := run(t, cpu.New(), m, tokens, 1, 0)
	for typ, path := range paths {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := f.Tensor("blk.0.ssm_out.weight")
		if typ != "pq2_0" && out.Type != ggml.TQ2_0 {
			t.Errorf("type %q: blk.0.ssm_out.weight is %v, want TQ2_0", typ, out.Type)
		}
		got := open(t, path)
		checkColumnsMoved(t, got, out)
		f.Close()
		sameWeights(t, path, got, m)
		logits, _ := run(t, cpu.New(), got, tokens, 1, 0)
		for i, x := range want {
			if math.Abs(float64(logits[i]-x)) > 1e-6*math.Abs(float64(slices.Max(want))) {
				t.Fatalf("type %q: logit %d is %v, want %v", typ, i, logits[i], x)
			}
		}
		if err := got.Export(filepath.Join(t.TempDir(), "again.gguf"), ExportOptions{Type: typ}); err != nil {
			t.Errorf("type %q, written again: %v", typ, err)
		}
	}
}

// checkColumnsMoved compares the output matrix of the first layer, weight by weight, with the file's.
func checkColumnsMoved(t *testing.T, m *Model, out gguf.Tensor) {
	t.Helper()
	file := out.Matrix()
	row := make([]float32, file.Cols)
	nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) {
		if !strings.HasSuffix(p.Names[0], "linear_attn.out_proj.weight") {
			return
		}
		x := &piece{h: h, cols: file.Cols}
		for r := range file.Rows {
			x.order = append(x.order, r)
		}
		weights := make([]float32, file.Cols)
		matrix := x.matrix()
		for r := range file.Rows {
			if err := file.Floats(row, r); err != nil {
				t.Fatal(err)
			}
			matrix.Floats(weights, r)
			for c := range file.Cols {
				head := c / 128 // of the file: key head head%2, its value head head/2
				if got := weights[(head%2*3+head/2)*128+c%128]; got != row[c] {
					t.Fatalf("row %d, column %d of the file is %v, want %v", r, c, got, row[c])
				}
			}
		}
	})
}

// A type whose blocks hold two heads is refused where these have scales of their own.
func TestHybridHeadsWithOwnScales(t *testing.T) {
	m := pairedHybrid()
	nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) {
		if strings.HasSuffix(p.Names[0], "linear_attn.out_proj.weight") {
			h.GroupScales[7]++
		}
	})
	path := filepath.Join(t.TempDir(), "x.gguf")
	err := m.Export(path, ExportOptions{Type: "tq2_0"})
	if want := "blk.0.ssm_out.weight: got a scale for 128 inputs, want one for a multiple of 256 in type TQ2_0"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if err := m.Export(path, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	sameWeights(t, path, open(t, path), m)
}
