package public

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/storage/public/publictest"
	"bitgpu/nn/webgpu"
)

// wholeTypes are those whose numbers stay as they are in memory.
var wholeTypes = map[ggml.Type]op.Format{ggml.Q8_0: op.Q8_0, ggml.Q4_0: op.Q4_0, ggml.Q4_K: op.Q4_K, ggml.Q6_K: op.Q6_K}

// asFloats is the same tensor in float32, as package ggml reads it.
func asFloats(t *testing.T, s gguf.Source) gguf.Source {
	t.Helper()
	var data bytes.Buffer
	if err := s.Write(&data); err != nil {
		t.Fatal(err)
	}
	m := ggml.Matrix{Name: s.Name, Type: s.Type, Layout: s.Type.Layout(), Rows: s.Shape[0], Cols: s.Shape[1], Data: data.Bytes()}
	return gguf.Source{Name: s.Name, Type: ggml.F32, Shape: s.Shape, Write: func(w io.Writer) error {
		row := make([]float32, m.Cols)
		for r := range m.Rows {
			if err := m.Floats(row, r); err != nil {
				return err
			}
			if err := binary.Write(w, binary.LittleEndian, row); err != nil {
				return err
			}
		}
		return nil
	}}
}

// both writes a model of a family with some tensors of whole numbers, and the same with these as floats, and reads them.
func both(t *testing.T, family string, replaced ...gguf.Source) (whole, floats *Model) {
	t.Helper()
	keys, tensors := publictest.Parts(family)
	models := [2]*Model{}
	for i := range models {
		all := slices.DeleteFunc(slices.Clone(tensors), func(s gguf.Source) bool {
			return slices.ContainsFunc(replaced, func(r gguf.Source) bool { return r.Name == s.Name })
		})
		for _, r := range replaced {
			if i == 1 {
				r = asFloats(t, r)
			}
			all = append(all, r)
		}
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := gguf.WriteFile(path, keys, all); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		models[i] = m
	}
	return models[0], models[1]
}

// same says whether two models have the same floats wherever one has any.
func same(t *testing.T, what string, got, want *Model) {
	t.Helper()
	for i, w := range *want.Weights {
		if g := (*got.Weights)[i]; w.Format != op.Ternary && !slices.Equal(g.Float32s(), w.Float32s()) {
			t.Errorf("%s: parameter %d: the weights differ", what, i)
		}
	}
}

// Tables of whole numbers are the floats that files of floats have, as weights, in logits and in what is written of them.
func TestTablesOfWholeNumbers(t *testing.T) {
	gpu := webgpu.New(gputest.Device(t))
	defer gpu.Close()
	tokens := []float64{1, 77, 250, 3, 3, 255, 9}
	for typ, format := range wholeTypes {
		for _, tied := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v/tied=%v", typ, tied), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(typ), 1))
				tables := []gguf.Source{publictest.Quants(r, "token_embd.weight", typ, publictest.Vocab, publictest.Width)}
				if !tied {
					tables = append(tables, publictest.Quants(r, "output.weight", typ, publictest.Vocab, publictest.Width))
				}
				whole, floats := both(t, "qwen3", tables...)
				same(t, "read", whole, floats)
				if got := whole.Weights.Embed(); got.Format != format || got.F32 != nil || got.Bytes() > got.Quants.Rows*got.Quants.Cols*9/8 {
					t.Errorf("got an embedding of %v of %d bytes, want %v", got.Format, got.Bytes(), format)
				}
				if !tied && whole.Weights.Head(nn.OfDecoder(whole.Decoder)).Format != format {
					t.Errorf("got a head of %v, want %v", whole.Weights.Head(nn.OfDecoder(whole.Decoder)).Format, format)
				}
				logits, text := run(t, cpu.NewScalar[float64](), floats, tokens, 8, 0)
				want := answer{}
				for _, l := range logits {
					want.logits = append(want.logits, float64(l))
				}
				for _, id := range text {
					want.greedy = append(want.greedy, float64(id))
				}
				for _, each := range []int{0, 1} {
					got, text := run(t, cpu.NewScalar[float64](), whole, tokens, 8, each)
					want.check(t, "the reference", got, text, 1e-6)
					got, text = run(t, cpu.New(), whole, tokens, 8, each)
					want.check(t, "the engine", got, text, 1e-5)
					got, text = run(t, gpu, whole, tokens, 8, each)
					want.check(t, "WebGPU", got, text, 1e-4)
				}
				for _, name := range []string{"model.gguf", "model.bitt", "model/"} {
					path := filepath.Join(t.TempDir(), name)
					if name == "model/" {
						path += string(filepath.Separator)
					}
					if err := whole.Export(path, ExportOptions{}); err != nil {
						t.Fatal(err)
					}
					open := func(path string) (*Model, error) { return Open(path, Options{}) }
					if name == "model.bitt" {
						open = readBitt
					}
					again, err := open(filepath.Clean(path))
					if err != nil {
						t.Fatal(err)
					}
					same(t, name, again, floats)
				}
			})
		}
	}
}

// Matrices of the layers may be of whole numbers, too: rows in another order, and several in one product, of one type or of many.
func TestMatricesOfWholeNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	mixed, alike := []ggml.Type{ggml.Q4_K, ggml.Q8_0, ggml.Q6_K}, []ggml.Type{ggml.Q6_K, ggml.Q6_K, ggml.Q6_K}
	for _, types := range [][]ggml.Type{mixed, alike} {
		whole, floats := both(t, "qwen35",
			publictest.Quants(r, "blk.1.attn_q.weight", types[0], 2*publictest.Width, publictest.Width),
			publictest.Quants(r, "blk.1.attn_k.weight", types[1], 64, publictest.Width),
			publictest.Quants(r, "blk.1.attn_v.weight", types[2], 64, publictest.Width),
			publictest.Quants(r, "blk.0.ssm_alpha.weight", ggml.Q8_0, 2, publictest.Width),
		)
		same(t, fmt.Sprint(types), whole, floats)
		kept := slices.ContainsFunc(*whole.Weights, func(h op.HostTensor) bool { return h.Format == op.Q6_K })
		if kept != (types[0] == types[1]) {
			t.Errorf("%v: a product of Q6_K in memory: %v", types, kept)
		}
		tokens := []float64{5, 200, 33}
		got, _ := run(t, cpu.New(), whole, tokens, 1, 0)
		want, _ := run(t, cpu.New(), floats, tokens, 1, 0)
		peak, off := 0.0, 0.0
		for i := range want {
			peak, off = max(peak, math.Abs(float64(want[i]))), max(off, math.Abs(float64(got[i]-want[i])))
		}
		if !(off <= 1e-5*peak) || peak == 0 {
			t.Errorf("%v: logits are off by %g of %g", types, off, peak)
		}
		if _, err := Open(whole.Path, Options{Floats: true}); err != nil {
			t.Errorf("%v as masters: %v", types, err)
		}
	}
}
