package public

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/gguf"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/op"
	"bitgpu/nn/storage/public/publictest"
)

// rotatedHybrid has several value heads to a key head, and signs of the heads' output that no other vector shares a width with.
func rotatedHybrid(block int) *Model {
	d := *decoders()["qwen3.5"]
	d.Width, d.MLP, d.HeadWidth, d.Rotation = 128, 256, 64, block
	d.Recurrent = &arch.Recurrent{KeyHeads: 2, Heads: 6, KeyWidth: 64, ValueWidth: 64, Taps: 4, Attends: []bool{false, true}}
	m := random(&d, 128)
	nn.Walk(nn.OfDecoder(&d), m.Weights, func(p nn.Param, h *op.HostTensor) {
		for i := range h.F32 {
			if strings.HasSuffix(p.Names[0], ".signs") { // GGUF has one vector for each width
				h.F32[i] = float32(1 - 2*(i*i/3%2))
			}
		}
	})
	return m
}

// outputMatrix returns the output matrix of the first layer as it acts on the heads' output: W·H·diag(signs), by the definition of
// the transform.
func outputMatrix(m *Model) [][]float64 {
	var w, signs *op.HostTensor
	nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, h *op.HostTensor) {
		switch p.Names[0] {
		case "layers.0.linear_attn.out_proj.weight":
			w = h
		case "layers.0.linear_attn.out_proj.signs":
			signs = h
		}
	})
	block := m.Decoder.Rotation
	rows := make([][]float64, w.Shape[0])
	all, cols := w.Float32s(), w.Shape[1]
	for r := range rows {
		row := all[r*cols : (r+1)*cols]
		rows[r] = make([]float64, cols)
		for c := range row {
			for i := c - c%block; i < c-c%block+block; i++ {
				x := float64(row[i])
				for both := (i & c) % block; both > 0; both &= both - 1 {
					x = -x
				}
				rows[r][c] += x / math.Sqrt(float64(block))
			}
			rows[r][c] *= float64(signs.F32[c])
		}
	}
	return rows
}

// A rotated file that does not say that its output matrix is for heads in Hugging Face's order has it, and the signs, for those in
// GGUF's.
func TestRotatedFileWithTiledHeads(t *testing.T) {
	tiled := func(m *Model) string {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := m.Export(path, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		key := hadamardPrefix + "gdn_v_grouped"
		at := bytes.Index(data, []byte(key)) + len(key) + 4
		if data[at] != 1 {
			t.Fatalf("%s is %d, want 1", key, data[at])
		}
		data[at] = 0
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	m := rotatedHybrid(64)
	got, want := outputMatrix(open(t, tiled(m))), outputMatrix(m)
	for r, row := range got {
		for c, x := range row {
			head := []int{0, 2, 4, 1, 3, 5}[c/64] // the first heads of both key heads, then the second ones, then the third
			if math.Abs(x-want[r][64*head+c%64]) > 1e-6 {
				t.Fatalf("row %d, column %d: got %v, want %v", r, c, x, want[r][64*head+c%64])
			}
		}
	}
	refused(t, tiled(rotatedHybrid(128)), "prism.hadamard.gdn_v_grouped: got false, with heads of 64 in blocks of 128")
}

// A tensor beside a matrix of BitNet's multiplies it, whatever type it has.
func TestScaleOfMatrix(t *testing.T) {
	d := *decoders()["bitnet"]
	d.Width, d.MLP, d.Heads, d.KVHeads, d.HeadWidth, d.Rope.Width, d.Int8 = 256, 256, 4, 4, 64, 64, false
	m := random(&d, 0)
	nn.Walk(nn.OfDecoder(&d), m.Weights, func(p nn.Param, h *op.HostTensor) {
		for i := range h.Scales {
			h.Scales[i] = 0.25
		}
	})
	const name, matrix = "blk.0.attn_output", "layers.0.self_attn.o_proj.weight"
	write := func(typ string, factor float32) string {
		pieces, _, err := m.ggufPieces()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := m.ggufKeys()
		if err != nil {
			t.Fatal(err)
		}
		tensors := []gguf.Source{{Name: name + ".scale", Shape: []int{1}, Write: func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, factor) }}}
		for _, x := range pieces {
			l, err := x.layout(false, ExportOptions{Type: typ})
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, gguf.Source{Name: x.file, Type: l.Type(), Shape: x.shape(), Write: func(w io.Writer) error { return x.write(w, l) }})
		}
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := gguf.WriteFile(path, keys, tensors); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, typ := range []string{"tq2_0", "pq2_0", "q2_0"} {
		got := open(t, write(typ, 0.3))
		nn.Walk(nn.OfDecoder(got.Decoder), got.Weights, func(p nn.Param, h *op.HostTensor) {
			want := float32(0.25)
			if p.Names[0] == matrix {
				want *= 0.3
			}
			if h.Format == op.Ternary && h.ScaleOf(3, 200) != want {
				t.Errorf("%s: %s: got the scale %v, want %v", typ, p.Names[0], h.ScaleOf(3, 200), want)
			}
		})
	}
	nn.Walk(nn.OfDecoder(&d), m.Weights, func(p nn.Param, h *op.HostTensor) {
		if p.Names[0] == matrix {
			h.Scales[5] = 0.5
		}
	})
	open(t, write("tq2_0", 1))
	refused(t, write("tq2_0", 0.3), name+".scale: got the factor 0.3 for a matrix with several scales")
}

// A factor of the positions without a type is linear, as in llama.cpp; older files have it by another name.
func TestScalingWithoutType(t *testing.T) {
	for _, key := range []string{"rope.scaling.factor", "rope.scale_linear"} {
		for factor, want := range map[float32]float64{4: 4, 1: 0} {
			keys, tensors := publictest.Parts("qwen3")
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := gguf.WriteFile(path, with(keys, "qwen3."+key, factor), tensors); err != nil {
				t.Fatal(err)
			}
			if got := open(t, path).Decoder.Rope.Linear; got != want {
				t.Errorf("%s %v: positions are divided by %v, want %v", key, factor, got, want)
			}
		}
	}
}
