package nn

import (
	"strings"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Quantizer says how the float masters of a parameter become ternary.
type Quantizer struct {
	Parts     int   // number of equal parts, each with its own γ; or
	RowBlocks []int // rows of parts of any height; or
	Group     int   // inputs of a row that share a scale
	Absmean   bool  // products are multiplied by γ
}

// Quantizers returns the quantisers of the parameters that are ternary in a running model, by the first of their names.
func (c Config) Quantizers() map[string]Quantizer {
	all := map[string]Quantizer{}
	if c.Decoder == nil {
		for _, p := range Params(c) {
			if p.Kind == layer.Linear {
				all[p.Names[0]] = Quantizer{Parts: len(p.Names), Absmean: c.WeightScale == ScaleAbsmean}
			}
		}
		return all
	}
	masters := c.Decoder.Masters
	if masters == nil {
		return nil
	}
	for _, m := range Matrices(c) {
		name := m.Of.Names[0]
		gates := strings.HasSuffix(name, "in_proj_a.weight") || strings.HasSuffix(name, "in_proj_b.weight")
		if gates && !masters.Gates {
			continue
		}
		q := all[name]
		q.Group, q.Absmean = masters.Group, masters.Group == 0
		if masters.Group == 0 {
			q.RowBlocks = append(q.RowBlocks, m.Rows)
		}
		all[name] = q
	}
	for _, p := range Params(c) {
		whole := c.Adapter != nil && c.Adapter.Whole[p.Names[0]] // trained, and run, in float32
		if p.Kind == layer.Table && masters.Tables && !whole {
			all[p.Names[0]] = Quantizer{Group: masters.Group}
		}
	}
	return all
}

// NewTernary makes room for a parameter's ternary weights, and returns the operation that fills it from the masters.
func NewTernary[T any](m op.Tensors[T], q Quantizer, p Param, master T) (T, *op.Quantize[T]) {
	rows, cols := p.Shape[0], p.Shape[1]
	o := &op.Quantize[T]{W: master, RowBlocks: q.RowBlocks, HalfEven: q.RowBlocks != nil}
	switch {
	case q.Group > 0:
		o.Q = m.NewGroups(rows, cols, q.Group)
	case q.RowBlocks != nil:
		o.Q = m.NewTernary(rows, cols, rows, true)
	default:
		o.Q = m.NewTernary(rows, cols, q.Parts, q.Absmean)
	}
	return o.Q, o
}

// Pack quantises masters in host memory. The result is that of the operation of NewTernary.
func (q Quantizer) Pack(h op.HostTensor) op.HostTensor {
	switch {
	case q.Group > 0:
		return op.PackGroups(h, q.Group)
	case q.RowBlocks != nil:
		return op.PackRowBlocks(h, q.RowBlocks)
	}
	return op.PackTernary(h, q.Parts, q.Absmean)
}

// Packed returns the weights that a model runs with: masters are packed, all else stays unchanged.
func (c Config) Packed(w *Weights[op.HostTensor]) *Weights[op.HostTensor] {
	quantizers := c.Quantizers()
	return MapWeights(c, w, func(p Param, h op.HostTensor) op.HostTensor {
		if q, ok := quantizers[p.Names[0]]; ok && h.Format == op.F32 {
			return q.Pack(h)
		}
		return h
	})
}
