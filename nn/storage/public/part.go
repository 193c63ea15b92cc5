package public

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"bitgpu/io/trit"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// part is what one name of a parameter stands for in a file: a ternary matrix, or floats.
type part struct {
	name       string // in the file, with its path, for messages
	rows, cols int
	trit       *trit.Matrix // or
	format     op.Format    // F32, F16 or BF16
	floats     []float32
	halves     []uint16
}

// param makes a parameter of its parts, whose rows follow each other.
func param(src source, p nn.Param) (h op.HostTensor, err error) {
	var parts []*part
	rows := 0
	for _, name := range p.Names {
		x, err := src.part(name, p.Kind == layer.Table)
		if err != nil {
			return h, err
		}
		if p.Kind == layer.Gain {
			if x.trit != nil || len(p.Shape) == 1 && x.rows*x.cols != p.Shape[0] || len(p.Shape) > 1 && x.cols != p.Shape[1] {
				return h, fmt.Errorf("%s: got %d × %d, want floats of the shape %v", x.name, x.rows, x.cols, p.Shape)
			}
			x.widen()
		} else if x.cols != p.Shape[1] {
			return h, fmt.Errorf("%s: got %d × %d weights, want rows of %d", x.name, x.rows, x.cols, p.Shape[1])
		}
		parts, rows = append(parts, x), rows+x.rows
	}
	first := parts[0]
	if p.Kind == layer.Gain && len(p.Shape) == 1 {
		rows = first.rows * first.cols
	}
	switch {
	case rows != p.Shape[0] && len(parts) > 1:
		return h, fmt.Errorf("%s: got %d rows, with those of %s, want %d", first.name, rows, strings.Join(p.Names[1:], " and "), p.Shape[0])
	case rows != p.Shape[0]:
		return h, fmt.Errorf("%s: got %d rows, want %d", first.name, rows, p.Shape[0])
	}
	h.Shape = p.Shape
	if first.trit != nil {
		return h, ternaryTensor(&h, parts)
	}
	for _, x := range parts {
		if x.trit != nil || x.format != first.format {
			return h, fmt.Errorf("%s: got other weights than in %s, want all ternary or of one type of floats", x.name, first.name)
		}
		h.Format = x.format
		if len(parts) == 1 {
			h.F32, h.F16 = x.floats, x.halves
		} else {
			h.F32, h.F16 = append(h.F32, x.floats...), append(h.F16, x.halves...)
		}
	}
	return h, nil
}

// widen makes 16-bit floats 32-bit ones.
func (x *part) widen() {
	if x.halves == nil {
		return
	}
	x.floats = make([]float32, len(x.halves))
	for i, h := range x.halves {
		if x.format == op.BF16 {
			x.floats[i] = math.Float32frombits(uint32(h) << 16)
		} else {
			x.floats[i] = float16.Frombits(h).Float32()
		}
	}
	x.format, x.halves = op.F32, nil
}

// finite refuses floats that are not.
func (x *part) finite() error {
	bad := op.FirstNotFinite(x.floats)
	mask := uint16(0x7c00)
	if x.format == op.BF16 {
		mask = 0x7f80
	}
	if bad < 0 {
		bad = slices.IndexFunc(x.halves, func(h uint16) bool { return h&mask == mask })
	}
	if bad >= 0 {
		return fmt.Errorf("%s: element %d is not a finite number", x.name, bad)
	}
	return nil
}

// ternaryTensor fills a host tensor with ternary parts: with γ where rows have one scale each, else with scales of groups.
func ternaryTensor(h *op.HostTensor, parts []*part) error {
	h.Format, h.Absmean = op.Ternary, true
	cols := h.Shape[1]
	group := cols
	for _, x := range parts {
		if x.trit == nil {
			return fmt.Errorf("%s: got floats, want ternary weights as in %s", x.name, parts[0].name)
		}
		group = min(group, x.trit.ColBlock)
	}
	if len(parts) == 1 {
		h.Codes = parts[0].trit.Codes
	} else {
		h.Codes = make([]byte, 0, h.Shape[0]*trit.RowBytes(cols))
		for _, x := range parts {
			h.Codes = append(h.Codes, x.trit.Codes...)
		}
	}
	if group == cols {
		h.Scales = rowScales(parts)
		return nil
	}
	const least = 32 // what the kernels take together
	if group%least != 0 {
		return fmt.Errorf("%s: got a scale each %d inputs, want a multiple of %d", parts[0].name, group, least)
	}
	h.Absmean, h.Group = false, group
	h.GroupScales = make([]uint16, 0, h.Shape[0]*cols/group)
	for _, x := range parts {
		if x.trit.ColBlock%group != 0 {
			return fmt.Errorf("%s: got a scale each %d inputs beside one each %d in the same product, want multiples", x.name, x.trit.ColBlock, group)
		}
		for r := range x.rows {
			for c := 0; c < cols; c += group {
				scale := x.trit.Scale(r, c)
				half := float16.Fromfloat32(scale)
				if half.Float32() != scale {
					return fmt.Errorf("%s: got the scale %v in row %d, want one that float16 can hold", x.name, scale, r)
				}
				h.GroupScales = append(h.GroupScales, half.Bits())
			}
		}
	}
	return nil
}

// rowScales are γ: one for each part where they are alike in that, else one a row.
func rowScales(parts []*part) (scales []float32) {
	for _, x := range parts {
		if x.trit.RowBlock != x.rows || x.rows != parts[0].rows {
			for _, x := range parts {
				for r := range x.rows {
					scales = append(scales, x.trit.Scale(r, 0))
				}
			}
			return scales
		}
	}
	for _, x := range parts {
		scales = append(scales, x.trit.Scales[0])
	}
	return scales
}

// pick takes the rows of a part in an order, which may leave some out.
func (x *part) pick(order []int) {
	if t := x.trit; t != nil {
		out := &trit.Matrix{Name: t.Name, Rows: len(order), Cols: t.Cols, RowBlock: len(order), ColBlock: t.ColBlock, Scales: t.Scales}
		out.Codes = make([]byte, 0, len(order)*trit.RowBytes(t.Cols))
		for _, r := range order {
			out.Codes = append(out.Codes, t.Row(r)...)
		}
		if t.RowBlock != t.Rows {
			out.RowBlock, out.Scales = 1, nil
			for _, r := range order {
				for c := 0; c < t.Cols; c += t.ColBlock {
					out.Scales = append(out.Scales, t.Scale(r, c))
				}
			}
		}
		x.trit = out
	}
	x.floats, x.halves = pickRows(x.floats, order, x.cols), pickRows(x.halves, order, x.cols)
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

// pickColumns moves blocks of so many columns of a ternary part: block i of the result is block order[i].
func (x *part) pickColumns(order []int, width int) error {
	t := x.trit
	switch {
	case t == nil:
		return fmt.Errorf("%s: got floats, want ternary weights", x.name)
	case len(order)*width != t.Cols || width%4 != 0 || t.ColBlock != t.Cols && width%t.ColBlock != 0:
		return fmt.Errorf("%s: got scales of %d inputs, of %d inputs in all, want a divisor of a head's %d", x.name, t.ColBlock, t.Cols, width)
	}
	out := *t
	out.Codes = make([]byte, 0, len(t.Codes))
	for r := range t.Rows {
		row := t.Row(r)
		for _, b := range order {
			out.Codes = append(out.Codes, row[b*width/4:(b+1)*width/4]...)
		}
	}
	if t.ColBlock != t.Cols {
		out.Scales = make([]float32, 0, len(t.Scales))
		for r := 0; r < t.Rows; r += t.RowBlock {
			for _, b := range order {
				for c := b * width; c < (b+1)*width; c += t.ColBlock {
					out.Scales = append(out.Scales, t.Scale(r, c))
				}
			}
		}
	}
	x.trit = &out
	return nil
}
