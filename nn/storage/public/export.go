package public

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/io/ggml"
	"bitgpu/io/trit"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// ExportOptions says how to write a model.
type ExportOptions struct {
	// Type is the type of ternary matrices in a GGUF file: "pq2_0", "q2_0", "tq2_0" or "i2_s"; "" chooses one that can hold the
	// scales.
	Type string
}

// ggufTypes are the layouts of ternary matrices that can be written.
var ggufTypes = map[string]ggml.Layout{"pq2_0": ggml.LayoutPQ2_0, "q2_0": ggml.LayoutQ2_0, "tq2_0": ggml.LayoutTQ2_0, "i2_s": ggml.LayoutI2_S}

// Validate returns nil, or an error that says in one sentence what is wrong.
func (o ExportOptions) Validate() error {
	if _, ok := ggufTypes[o.Type]; !ok && o.Type != "" {
		return fmt.Errorf("type: got %q, want pq2_0, q2_0, tq2_0 or i2_s", o.Type)
	}
	return nil
}

// IsGGUF reports whether a path names a GGUF file.
func IsGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// Export writes the model to a file whose name ends in .bitt or .gguf, or to a directory in Hugging Face's form. The file, or
// all files of the directory together, are replaced as a whole. What the form cannot express is refused. Masters stay floats
// in a directory and become ternary in a file.
func (m *Model) Export(path string, o ExportOptions) error {
	if err := o.Validate(); err != nil {
		return err
	}
	info, err := os.Stat(path)
	dir := err == nil && info.IsDir() || strings.HasSuffix(path, "/") || strings.HasSuffix(path, string(filepath.Separator))
	if o.Type != "" && (dir || !IsGGUF(path)) {
		return fmt.Errorf("%s: type: got %q, which is for files that end in .gguf", path, o.Type)
	}
	switch {
	case dir:
		err = m.writeHF(path)
	case IsGGUF(path):
		err = m.Packed().writeGGUF(path, o)
	case strings.HasSuffix(path, ".bitt"):
		err = m.Packed().writeBitt(path)
	default:
		return fmt.Errorf("%s: want a name that ends in .bitt or .gguf, or a directory, with a / at its end if it is new", path)
	}
	if err != nil && !strings.Contains(err.Error(), path) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return err
}

// piece is a matrix or vector to be written: rows of a parameter in the order of the file.
type piece struct {
	name       string // of the parameter
	file       string // in the file
	kind       layer.Kind
	h          *op.HostTensor
	order      []int // the parameter's rows
	cols       int
	vector     bool
	blocks     []int // columns: block i of the file is block blocks[i] of the parameter, each `width` wide; nil: unchanged
	blockWidth int
	shared     int // how many inputs share a scale in the order of the file; 0: as in the parameter
}

// pieces returns one piece per name of every parameter, in the order of memory, except that gates follow the queries of their
// head.
func (m *Model) pieces() (all []*piece) {
	d := m.Decoder
	var queries *piece
	nn.Walk(nn.OfDecoder(d), m.Weights, func(p nn.Param, h *op.HostTensor) {
		first := 0
		for _, name := range p.Names {
			x := &piece{name: name, kind: p.Kind, h: h, vector: len(p.Shape) == 1}
			rows := rowsNamed(d, p, name)
			if x.cols = op.Count(p.Shape) / p.Shape[0]; x.vector {
				rows, x.cols = p.Shape[0], 1
			}
			for r := range rows {
				x.order = append(x.order, first+r)
			}
			first += rows
			switch _, rest := inLayer(name); rest {
			case "self_attn.gate_proj.weight":
				queries.order = besides(queries.order, x.order, d.HeadWidth)
				continue
			case "self_attn.q_proj.weight":
				queries = x
			}
			all = append(all, x)
		}
	})
	return all
}

// besides interleaves the rows of two matrices, `width` rows of each in turn.
func besides(a, b []int, width int) (both []int) {
	for i := 0; i < len(a); i += width {
		both = append(both, a[i:i+width]...)
		both = append(both, b[i:i+width]...)
	}
	return both
}

// move reorders the rows: what is now row i becomes row order[i] of the file.
func (x *piece) move(order []int) {
	moved := make([]int, len(order))
	for i, to := range order {
		moved[to] = x.order[i]
	}
	x.order = moved
}

// moveColumns does the same for blocks of `width` columns.
func (x *piece) moveColumns(order []int, width int) {
	x.blocks, x.blockWidth = make([]int, len(order)), width
	for i, to := range order {
		x.blocks[to] = i
	}
	if x.h.Group == 0 {
		return
	}
	x.shared = gcd(x.h.Group, width)
	for x.cols%(2*x.shared) == 0 && x.pairsAlike(x.shared) {
		x.shared *= 2
	}
}

// pairsAlike reports whether every two neighbouring groups of the file have the same scale.
func (x *piece) pairsAlike(group int) bool {
	for _, r := range x.order {
		for c := 0; c < x.cols; c += 2 * group {
			if x.h.ScaleOf(r, x.column(c)) != x.h.ScaleOf(r, x.column(c+group)) {
				return false
			}
		}
	}
	return true
}

// column returns the parameter's column that column c of the file holds.
func (x *piece) column(c int) int {
	if x.blocks == nil {
		return c
	}
	return x.blocks[c/x.blockWidth]*x.blockWidth + c%x.blockWidth
}

func (x *piece) shape() []int {
	if x.vector {
		return []int{len(x.order)}
	}
	return []int{len(x.order), x.cols}
}

// group returns how many inputs share a scale in the file.
func (x *piece) group() int { return cmp.Or(x.shared, x.h.Group, x.cols) }

// oneScale returns the scale of the whole matrix, if it has just one.
func (x *piece) oneScale() (float32, bool) {
	if x.h.Group > 0 {
		return 0, false
	}
	one := x.h.ScaleOf(x.order[0], 0)
	return one, !slices.ContainsFunc(x.order, func(r int) bool { return x.h.ScaleOf(r, 0) != one })
}

// matrix returns a copy of a ternary matrix in the order of the file.
func (x *piece) matrix() *trit.Matrix {
	stride := trit.RowBytes(x.cols)
	m := &trit.Matrix{Name: x.file, Rows: len(x.order), Cols: x.cols, RowBlock: 1, ColBlock: x.group()}
	m.Codes = make([]byte, m.Rows*stride)
	one, alike := x.oneScale()
	if alike {
		m.RowBlock, m.Scales = m.Rows, []float32{one}
	}
	for i, r := range x.order {
		row, dst := x.h.Codes[r*stride:(r+1)*stride], m.Row(i)
		if x.blocks == nil {
			copy(dst, row)
		}
		for j, b := range x.blocks {
			copy(dst[j*x.blockWidth/4:(j+1)*x.blockWidth/4], row[b*x.blockWidth/4:])
		}
		for c := 0; c < x.cols && !alike; c += m.ColBlock {
			m.Scales = append(m.Scales, x.h.ScaleOf(r, x.column(c)))
		}
	}
	return m
}

// checkColumns refuses an order of columns that would split a byte.
func (x *piece) checkColumns() error {
	if x.blocks != nil && x.blockWidth%4 != 0 {
		return fmt.Errorf("%s: got heads of %d inputs, want a multiple of 4: its columns are moved", x.file, x.blockWidth)
	}
	if x.blocks != nil && x.h.Format != op.Ternary {
		return fmt.Errorf("%s: got floats, want ternary weights: its columns are moved", x.file)
	}
	return nil
}
