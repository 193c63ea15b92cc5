package webgpu

import (
	"fmt"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/nn/quants"
	"bitgpu/nn/ternary"
)

func (o *Ops) Load(h op.HostTensor) *Tensor {
	t := &Tensor{format: h.Format, shape: h.Shape, absmean: h.Absmean, loaded: true}
	if len(h.Scales) > 0 {
		t.scales = o.dev.NewBuffer("scales", 4*len(h.Scales))
		o.write(t.scales, 0, gpu.Bytes(h.Scales))
	}
	o.allocate(t)
	each := op.Count(h.Shape[1:])
	switch h.Format {
	case op.F32:
		o.loadRows(t, gpu.Bytes(h.F32), 4*each, 0)
	case op.F16, op.BF16:
		o.loadRows(t, gpu.Bytes(h.F16), 2*each, 0)
	case op.I8:
		o.loadRows(t, gpu.Bytes(h.I8), each, 0)
	case op.Ternary:
		t.blocks, t.group = len(h.Scales), h.Group
		o.loadRows(t, h.Codes, ternary.RowBytes(each), zeroCodes)
		o.loadGroups(t, h.GroupScales)
	case op.Q8_0, op.Q4_0, op.Q4_K, op.Q6_K:
		o.loadRows(t, h.Quants.Codes, t.rowBytes(), 0)
		o.loadQuants(t, h.Quants)
	default:
		panic(fmt.Sprintf("webgpu: Load of a %v tensor", h.Format))
	}
	return t
}

// zeroCodes are four ternary weights of 0.
const zeroCodes = 0b01010101

// loadGroups writes the scales of groups, two per word, to the parts of a ternary tensor that has such scales.
func (o *Ops) loadGroups(t *Tensor, scales []uint16) {
	if t.group == 0 {
		return
	}
	if t.group%groupUnit != 0 || t.shape[1]%t.group != 0 {
		o.dev.Fail(fmt.Errorf("webgpu: a ternary matrix of shape %v: got a scale each %d inputs, want a multiple of %d that divides them", t.shape, t.group, groupUnit))
		return
	}
	groups := t.shape[1] / t.group
	words := ceil(groups, 2)
	for i := range t.parts {
		p := &t.parts[i]
		rows := scales[p.first*groups : (p.first+p.rows)*groups]
		if groups%2 == 1 {
			padded := make([]uint16, p.rows*2*words)
			for r := range p.rows {
				copy(padded[r*2*words:], rows[r*groups:(r+1)*groups])
			}
			rows = padded
		}
		p.scales = o.dev.NewBuffer("scales", 4*words*p.rows)
		o.write(p.scales, 0, gpu.Bytes(rows))
	}
}

// loadQuants writes the scales of a tensor of whole numbers to its parts.
func (o *Ops) loadQuants(t *Tensor, q *quants.Matrix) {
	if q.Kind == quants.Q8_0 || q.Kind == quants.Q4_0 {
		t.group = groupUnit
	}
	words := q.Kind.RowWords(q.Cols)
	for i := range t.parts {
		p := &t.parts[i]
		p.scales = o.dev.NewBuffer("scales", 4*words*p.rows)
		o.write(p.scales, 0, gpu.Bytes(q.Scales[p.first*words:(p.first+p.rows)*words]))
	}
}

// loadRows writes rows of rowBytes each, padded to the tensor's row length.
func (o *Ops) loadRows(t *Tensor, data []byte, rowBytes int, padding byte) {
	const piece = 4 << 20 // bytes per copy; Go must read mapped files itself, because reading a truncated one is an error only there
	padded := t.rowBytes()
	var buf []byte
	for _, p := range t.parts {
		rows := data[p.first*rowBytes : (p.first+p.rows)*rowBytes]
		if padded == rowBytes {
			for from := 0; from < len(rows); from += piece {
				buf = append(buf[:0], rows[from:min(from+piece, len(rows))]...)
				o.write(p.buffer, from, buf)
			}
			continue
		}
		each := max(piece/padded, 1)
		for first := 0; first < p.rows; first += each {
			n := min(each, p.rows-first)
			buf := make([]byte, n*padded)
			for r := range n {
				row := buf[r*padded : (r+1)*padded]
				for i := copy(row, rows[(first+r)*rowBytes:(first+r+1)*rowBytes]); i < padded; i++ {
					row[i] = padding
				}
			}
			o.write(p.buffer, first*padded, buf)
		}
	}
}
