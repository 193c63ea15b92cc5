package public

import (
	"errors"
	"fmt"
	"strings"

	"bitgpu/io/trit"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// ErrNoMasters is returned where training needs float masters that the files of a model do not have.
var ErrNoMasters = errors.New("got packed weights, of which the float masters are not there: want the revision that has them, " +
	"such as microsoft/bitnet-b1.58-2B-4T-bf16 or Falcon-E's \"prequantized\" with --masters half-up; bitgpu learn trains an adapter beside packed weights")

// ErrUnsaid is a part of the error for a directory whose matrices may be float masters that its files do not say to be such. It calls
// the option by the name that it has in every API.
var ErrUnsaid = errors.New(`if these are the float masters of a ternary model, the option masters says how it rounds them: "half-up" (Falcon-E's) or "half-even"`)

// mostGroup is the largest number of inputs that share a scale in masters made from ternary weights, as in Bonsai's.
const mostGroup = 128

// toMasters converts all weights to float32 for training. Ternary weights with scales per row or group become weights times
// scales, provided that quantising them gives the same weights back; otherwise the model is refused.
func (m *Model) toMasters() error {
	d := m.Decoder
	if d.Masters == nil {
		masters, err := m.howQuantized()
		if err != nil {
			return fmt.Errorf("%s: %w", m.Path, err)
		}
		d.Masters = masters
	}
	var failed error
	nn.Walk(nn.OfDecoder(d), m.Weights, func(p nn.Param, h *op.HostTensor) {
		if h.Format != op.F32 && failed == nil {
			if *h, failed = float(*h, d.Masters.Group); failed != nil {
				failed = fmt.Errorf("%s: %s: %w", m.Path, p.Names[0], failed)
			}
		}
	})
	return failed
}

// howQuantized finds out from the weights how they were quantised.
func (m *Model) howQuantized() (*arch.Masters, error) {
	d := m.Decoder
	masters := &arch.Masters{}
	var tables []bool // whether embedding and head are ternary
	packed := ""
	group := mostGroup
	nn.Walk(nn.OfDecoder(d), m.Weights, func(p nn.Param, h *op.HostTensor) {
		gates := strings.Contains(p.Names[0], "in_proj_a") || strings.Contains(p.Names[0], "in_proj_b")
		switch {
		case p.Kind == layer.Table:
			tables = append(tables, h.Format == op.Ternary)
		case p.Kind == layer.Linear && gates:
			masters.Gates = masters.Gates || h.Format == op.Ternary
		case p.Kind == layer.Linear && h.Format == op.Ternary:
			packed = p.Names[0]
		}
		if h.Format == op.Ternary {
			each := h.Group
			if each == 0 {
				each = p.Shape[1]
			}
			group = gcd(group, each)
		}
	})
	switch {
	case packed != "" && d.Int8:
		return nil, ErrNoMasters
	case packed == "":
		return masters, nil // floats, to be rounded per matrix
	case group < 32:
		return nil, fmt.Errorf("got scales that no groups of 32 inputs have, want masters")
	}
	masters.Group, masters.Tables = group, tables[0]
	for _, t := range tables {
		if t != tables[0] {
			return nil, fmt.Errorf("got one of embedding and head ternary and the other not, want both alike")
		}
	}
	return masters, nil
}

// float returns weights in float32. Ternary ones are multiplied by their scales, and must quantise to the same again by
// `group`.
func float(h op.HostTensor, group int) (op.HostTensor, error) {
	f := op.HostTensor{Format: op.F32, Shape: h.Shape}
	if h.Format != op.Ternary {
		f.F32 = h.Float32s()
		return f, nil
	}
	f.F32 = h.Float32s()
	rows, cols := h.Shape[0], h.Shape[1]
	for r := range rows {
		for c := 0; c < cols; c += group {
			if scale := h.ScaleOf(r, c); float16.Fromfloat32(scale).Float32() != scale {
				return f, fmt.Errorf("row %d: got the scale %v, want one that float16 can hold, for the masters to become these weights", r, scale)
			}
		}
	}
	return f, nil
}

// Packed returns a model with masters in the form that runs: masters rounded to ternary.
func (m *Model) Packed() *Model {
	if m.Decoder.Masters == nil {
		return m
	}
	p, d := *m, *m.Decoder
	c := nn.OfDecoder(&d)
	p.Weights = c.Packed(m.Weights)
	d.Masters = nil
	p.Decoder = &d
	return &p
}

// byGroups quantises a part whose float masters have been read.
func (x *part) byGroups(group int) {
	h := op.PackGroups(op.HostTensor{Format: op.F32, Shape: []int{x.rows, x.cols}, F32: x.floats}, group)
	stride, each := trit.RowBytes(x.cols), x.cols/group
	x.ternary = &rowsOf{
		codes: func(dst []byte, r int) { copy(dst, h.Codes[r*stride:(r+1)*stride]) }, group: group, alike: 1,
		halves: func(dst []uint16, r int) { copy(dst, h.GroupScales[r*each:(r+1)*each]) },
	}
	x.floats, x.format = nil, 0
}
