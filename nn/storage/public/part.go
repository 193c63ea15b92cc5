package public

import (
	"encoding/binary"
	"fmt"
	"slices"

	"bitgpu/io/ggml"
	"bitgpu/io/regular"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/quants"
)

// part is what a file holds for one name of a parameter: a ternary matrix, floats, or whole numbers with scales.
type part struct {
	name       string // with the path, for messages
	rows, cols int
	ternary    *rowsOf   // or
	format     op.Format // F32, F16, BF16, or that of quants
	floats     []float32
	halves     []uint16
	quants     *quants.Matrix
}

// param assembles a parameter from its parts, whose rows follow each other.
func param(src source, d *arch.Decoder, p nn.Param) (h op.HostTensor, err error) {
	var parts []*part
	rows := 0
	for _, name := range p.Names {
		x, err := src.part(name, p.Kind == layer.Table)
		if err != nil {
			return h, err
		}
		if p.Kind == layer.Gain {
			if x.ternary != nil || len(p.Shape) == 1 && x.rows*x.cols != p.Shape[0] || len(p.Shape) > 1 && x.cols != p.Shape[1] {
				return h, fmt.Errorf("%s: got %d × %d, want floats of the shape %v", x.name, x.rows, x.cols, p.Shape)
			}
			x.widen()
		} else if x.cols != p.Shape[1] {
			return h, fmt.Errorf("%s: got %d × %d weights, want rows of %d", x.name, x.rows, x.cols, p.Shape[1])
		} else if want := rowsNamed(d, p, name); x.rows != want {
			return h, fmt.Errorf("%s: got %d rows, want %d", x.name, x.rows, want)
		}
		parts, rows = append(parts, x), rows+x.rows
	}
	first := parts[0]
	if p.Kind == layer.Gain && len(p.Shape) == 1 {
		rows = first.rows * first.cols
	}
	if rows != p.Shape[0] {
		return h, fmt.Errorf("%s: got %d rows, want %d", first.name, rows, p.Shape[0])
	}
	h.Shape = p.Shape
	if first.ternary != nil {
		return h, ternaryTensor(&h, parts)
	}
	if slices.ContainsFunc(parts, func(x *part) bool { return x.format != first.format }) {
		for _, x := range parts {
			if x.quants != nil { // files may use several types within one product
				x.widen()
			}
		}
	}
	for _, x := range parts {
		if x.ternary != nil || x.format != first.format {
			return h, fmt.Errorf("%s: got other weights than in %s, want all ternary or of one type of floats", x.name, first.name)
		}
		h.Format = x.format
		if len(parts) == 1 {
			h.F32, h.F16, h.Quants = x.floats, x.halves, x.quants
		} else {
			h.F32, h.F16, h.Quants = append(h.F32, x.floats...), append(h.F16, x.halves...), h.Quants.Append(x.quants)
		}
	}
	return h, nil
}

// rowsNamed returns how many rows one name of a parameter stands for.
func rowsNamed(d *arch.Decoder, p nn.Param, name string) int {
	if len(p.Names) == 1 {
		return p.Shape[0]
	}
	switch _, rest := inLayer(name); rest {
	case "self_attn.q_proj.weight", "self_attn.gate_proj.weight":
		return d.Heads * d.HeadWidth
	case "self_attn.k_proj.weight", "self_attn.v_proj.weight":
		return d.KVHeads * d.HeadWidth
	case "linear_attn.in_proj_qkv.weight":
		return p.Shape[0] - d.Recurrent.Heads*d.Recurrent.ValueWidth
	case "linear_attn.in_proj_z.weight":
		return d.Recurrent.Heads * d.Recurrent.ValueWidth
	}
	return p.Shape[0] / len(p.Names) // of the MLP
}

// widen converts everything that is not ternary to 32-bit floats.
func (x *part) widen() {
	if x.halves == nil && x.quants == nil {
		return
	}
	h := op.HostTensor{Format: x.format, Shape: []int{x.rows, x.cols}, F16: x.halves, Quants: x.quants}
	x.floats, x.format, x.halves, x.quants = h.Float32s(), op.F32, nil, nil
}

// finite refuses floats that are NaN or infinite.
func (x *part) finite() error {
	bad := op.FirstNotFinite(x.floats)
	if bad < 0 {
		bad = firstNotFinite(x.halves, x.format)
	}
	if bad >= 0 {
		return fmt.Errorf("%s: element %d is not a finite number", x.name, bad)
	}
	return nil
}

// firstNotFinite returns the index of the first 16-bit float that is not finite, or -1.
func firstNotFinite(halves []uint16, format op.Format) int {
	mask := uint16(0x7c00)
	if format == op.BF16 {
		mask = 0x7f80
	}
	const each = 256 // elements checked at a time, without a branch for each
	for at := 0; at < len(halves); at += each {
		piece := halves[at:min(at+each, len(halves))]
		var found uint16
		for _, h := range piece {
			found |= h&mask + (0x8000 - mask) // sets the highest bit exactly if all bits of the exponent are set
		}
		if found&0x8000 != 0 {
			return at + slices.IndexFunc(piece, func(h uint16) bool { return h&mask == mask })
		}
	}
	return -1
}

// readHalves takes little-endian 16-bit floats, and refuses those that are not finite.
func (x *part) readHalves(data []byte, format op.Format) error {
	x.format, x.halves = format, make([]uint16, len(data)/2)
	return inPieces(len(x.halves), 2, func(from, to int) error {
		piece := x.halves[from:to]
		for i := range piece {
			piece[i] = binary.LittleEndian.Uint16(data[2*(from+i):])
		}
		if bad := firstNotFinite(piece, format); bad >= 0 {
			return fmt.Errorf("%s: element %d is not a finite number", x.name, from+bad)
		}
		return nil
	})
}

// kinds are the layouts that package quants can hold.
var kinds = map[ggml.Layout]quants.Kind{
	ggml.LayoutQ8_0: quants.Q8_0, ggml.LayoutQ4_0: quants.Q4_0, ggml.LayoutQ4_K: quants.Q4_K, ggml.LayoutQ6_K: quants.Q6_K,
}

// readQuants takes whole numbers with scales unchanged.
func (x *part) readQuants(m *ggml.Matrix, k quants.Kind) error {
	q := quants.New(k, m.Rows, m.Cols)
	x.format, x.quants = op.FormatOf(k), q
	each := len(m.Data) / m.Rows
	return inPieces(m.Rows, each, func(from, to int) error {
		numbers := make([]byte, m.Cols)
		for r := from; r < to; r++ {
			words := q.Words(r)
			err := m.Numbers(numbers, r, func(block int, s ggml.Steps) {
				q.SetScale(words, block, s.D, s.DMin, &s.Factors, &s.Minima)
			})
			if err != nil {
				return err
			}
			q.Pack(r, numbers)
		}
		regular.Drop(m.Data[from*each : to*each]) // so that file and copy are not in memory at the same time
		return nil
	})
}

// pick selects and reorders rows of a part.
func (x *part) pick(order []int) {
	if t := x.ternary; t != nil {
		t.pick(order)
	}
	x.floats, x.halves, x.quants = pickRows(x.floats, order, x.cols), pickRows(x.halves, order, x.cols), x.quants.Pick(order)
	x.rows = len(order)
}

func pickRows[E any](all []E, order []int, cols int) []E {
	if all == nil {
		return nil
	}
	out := make([]E, 0, len(order)*cols)
	for _, r := range order {
		out = append(out, all[r*cols:(r+1)*cols]...)
	}
	return out
}
