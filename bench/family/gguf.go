package family

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/io/trit"
	"bitgpu/nn"
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// Layouts returns the layouts that the family can be written in; the first is that of the published files.
func (f Family) Layouts() []ggml.Layout {
	if f.Group == 0 {
		return []ggml.Layout{ggml.LayoutI2_S, ggml.LayoutTQ2_0, ggml.LayoutQ2_0}
	}
	return []ggml.Layout{ggml.LayoutPQ2_0, ggml.LayoutQ2_0, ggml.LayoutTQ2_0}
}

// Layout returns the layout of a name; "" is the first.
func (f Family) Layout(name string) (ggml.Layout, error) {
	all := f.Layouts()
	if name == "" {
		return all[0], nil
	}
	var names []string
	for _, l := range all {
		if strings.EqualFold(l.String(), name) {
			return l, nil
		}
		names = append(names, l.String())
	}
	return 0, fmt.Errorf("type: got %q, want one of %s for %s", name, strings.Join(names, ", "), f.Name)
}

// WriteGGUF writes the model to a file, with its ternary matrices in a layout, and a vocabulary of single bytes, filled up with
// words. In layouts other than LayoutI2_S, BitNet is the model that llama.cpp makes of it, with SiLU and without rounded
// activations, which does the same work.
func (f Family) WriteGGUF(path string, l ggml.Layout) error {
	if !slices.Contains(f.Layouts(), l) {
		return fmt.Errorf("type: got %v, want one of %v for %s", l, f.Layouts(), f.Name)
	}
	w := &writer{f: f, l: l, last: -1}
	var sources []gguf.Source
	for i, p := range nn.Params(f.Config(1)) {
		sources = append(sources, w.sources(i, p)...)
	}
	return gguf.WriteFile(path, f.keys(l), sources)
}

// writer makes the tensors of a file.
type writer struct {
	f    Family
	l    ggml.Layout
	last int           // the parameter that was made last: its other parts are written next
	made op.HostTensor // that parameter
}

// tensor returns parameter i, which it makes unless it is the last one.
func (w *writer) tensor(i int, p nn.Param) op.HostTensor {
	if w.last != i {
		w.made = op.HostTensor{} // so that the two are not in memory at the same time
		w.last, w.made = i, w.f.Tensor(i, p)
	}
	return w.made
}

// sources returns the tensors of parameter i in a file.
func (w *writer) sources(i int, p nn.Param) (all []gguf.Source) {
	d := w.f.Decoder
	from := 0
	for k, rows := range w.f.PartRows(p) {
		first := from
		from += rows
		name := fileName(p.Names[k], d.Family)
		source := gguf.Source{Name: name, Type: ggml.F32, Shape: p.Shape}
		switch {
		case strings.HasSuffix(p.Names[k], "self_attn.gate_proj.weight"):
			continue // in files it is part of the queries' matrix
		case strings.HasSuffix(p.Names[k], "conv1d.weight"), len(p.Shape) == 1:
			source.Write = func(out io.Writer) error {
				return writeFloats(out, w.f.arrangeFloats(p.Names[0], w.tensor(i, p).F32))
			}
		case w.f.floats(p):
			source.Type = ggml.F16
			source.Write = func(out io.Writer) error { return writeHalves(out, w.tensor(i, p).F16) }
		default:
			order := w.f.rowOrder(p.Names[k], first, rows)
			source.Type, source.Shape = w.l.Type(), []int{len(order), p.Shape[1]}
			source.Write = func(out io.Writer) error {
				m := pick(w.tensor(i, p), order)
				if strings.HasSuffix(p.Names[k], "linear_attn.out_proj.weight") {
					m.Codes = pickColumns(m, w.f.tiled(), d.Recurrent.ValueWidth)
				}
				m.Name = name
				return w.encode(out, m)
			}
		}
		all = append(all, source)
	}
	return all
}

// pick returns rows of a ternary tensor as a matrix. If scales are γ, it has that of the first row.
func pick(t op.HostTensor, order []int) *trit.Matrix {
	cols := t.Shape[1]
	m := &trit.Matrix{Rows: len(order), Cols: cols, RowBlock: 1, ColBlock: t.Group}
	stride := trit.RowBytes(cols)
	for _, r := range order {
		m.Codes = append(m.Codes, t.Codes[r*stride:(r+1)*stride]...)
	}
	if t.Group == 0 {
		m.RowBlock, m.ColBlock = m.Rows, cols
		m.Scales = []float32{t.Scales[order[0]*len(t.Scales)/t.Shape[0]]}
		return m
	}
	groups := cols / t.Group
	for _, r := range order {
		for _, s := range t.GroupScales[r*groups : (r+1)*groups] {
			m.Scales = append(m.Scales, float16.Frombits(s).Float32())
		}
	}
	return m
}

// encode writes a matrix: each processor encodes some rows at a time.
func (w *writer) encode(out io.Writer, m *trit.Matrix) error {
	if block, _ := w.l.Block(); m.ColBlock%block != 0 && !m.Merge(block) {
		return fmt.Errorf("%s: got scales each %d inputs, want the same for %d", m.Name, m.ColBlock, block)
	}
	if w.l == ggml.LayoutI2_S { // its blocks cross the ends of rows
		data, err := ggml.Encode(w.l, m)
		if err == nil {
			_, err = out.Write(data)
		}
		return err
	}
	const weights = 1 << 20 // at a time
	each := max(weights/m.Cols, 1)
	pieces := make([][]byte, runtime.GOMAXPROCS(0))
	errs := make([]error, len(pieces))
	for from := 0; from < m.Rows; from += each * len(pieces) {
		var working sync.WaitGroup
		for i := range pieces {
			first := from + i*each
			pieces[i] = nil
			if first >= m.Rows {
				continue
			}
			part := rowsOf(m, first, min(each, m.Rows-first))
			working.Go(func() { pieces[i], errs[i] = ggml.Encode(w.l, part) })
		}
		working.Wait()
		for i, piece := range pieces {
			if errs[i] != nil {
				return errs[i]
			}
			if _, err := out.Write(piece); err != nil {
				return err
			}
		}
	}
	return nil
}

// rowsOf returns n rows of a matrix.
func rowsOf(m *trit.Matrix, first, n int) *trit.Matrix {
	stride, part := trit.RowBytes(m.Cols), *m
	part.Rows, part.Codes = n, m.Codes[first*stride:(first+n)*stride]
	if m.RowBlock == m.Rows {
		part.RowBlock = n
	} else {
		groups := m.Cols / m.ColBlock
		part.Scales = m.Scales[first*groups : (first+n)*groups]
	}
	return &part
}

func writeFloats(out io.Writer, v []float32) error { return write(out, v, appendFloat) }

func writeHalves(out io.Writer, v []uint16) error { return write(out, v, appendHalf) }
