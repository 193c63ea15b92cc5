package nn

import (
	"fmt"
	"math"
	"strings"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Adapter holds low-rank additions y += Scale·B(A·x) to the products of some of a model's matrices (LoRA, arXiv 2106.09685).
// The matrices stay as they are, packed.
type Adapter struct {
	// Ranks gives r by the full name of a matrix, "layers.0.mlp.up_proj.weight". All matrices of one parameter have the same
	// rank. Names that are one matrix in files are listed under the first of them.
	Ranks map[string]int
	Scale float32 // α/r
	// Inside: masters and adapter are added before they become ternary, so that the result is ternary again. Training does this
	// in every step; before a model runs, the adapter is Merged into the masters.
	Inside bool
	// Whole names parameters, among those that Saveable lists, that the adapter holds itself, in float32, in place of the
	// model's: PEFT's modules_to_save.
	Whole map[string]bool
	// Weights are A (g·r, K) and B (R, r) of each parameter with a low-rank addition, then the whole parameters, in the order
	// of AdapterParams.
	Weights Weights[op.HostTensor]
}

// Adapter implements layer.Declarer.
func (d *binder[T]) Adapter(a *layer.Adapter[T], of layer.Param, blocks ...op.LowRankBlock) {
	adapter := d.adapter
	if adapter == nil {
		return
	}
	groups := map[int]int{} // those with an adapter, by the layer's number of the group
	names := map[int]string{}
	for i, b := range blocks {
		if _, ok := names[b.Group]; !ok {
			names[b.Group] = d.name(of.Names[i])
			if r := adapter.Ranks[names[b.Group]]; r > 0 {
				groups[b.Group] = len(groups)
				a.Rank = max(a.Rank, r)
			}
		}
		group, ok := groups[b.Group]
		if !ok {
			group = -1
		}
		a.Blocks = append(a.Blocks, op.LowRankBlock{Rows: b.Rows, Group: group})
	}
	if a.Rank == 0 {
		a.Blocks = nil
		return
	}
	a.Scale, a.Inside, a.Int8 = adapter.Scale, adapter.Inside, adapter.Inside && d.int8
	short := of.Names[0]
	of.Names, of.Layer = d.names(of.Names), d.at.Block
	if d.Binding.Low != nil {
		A, B := of, of
		A.Shape, B.Shape = []int{len(groups) * a.Rank, of.Shape[1]}, []int{of.Shape[0], a.Rank}
		A.Kind, B.Kind = layer.Gain, layer.Gain
		A.Init, B.Init = layer.Normal(1/math.Sqrt(3*float64(of.Shape[1]))), layer.Constant(0) // as wide as PEFT's
		a.A, a.B = d.Binding.Low(A, a.Blocks), d.Binding.Low(B, a.Blocks)
	}
	d.Rows(&a.Low, layer.Rows{Name: "low rank of " + short, Shape: []int{len(groups) * a.Rank}, Gradient: true})
}

// Saveable lists the parameters that an adapter may hold as a whole: norms, the embedding and the head, but not tables that
// are stored for inputs that a Hadamard transform turns.
func Saveable(c Config) (all []Param) {
	turned := c.Decoder != nil && c.Decoder.Rotation > 0
	for _, p := range Params(c) {
		norm := p.Kind == layer.Gain && len(p.Shape) == 1 && strings.Contains(p.Names[0], "norm") && strings.HasSuffix(p.Names[0], ".weight")
		if norm || p.Kind == layer.Table && !turned {
			all = append(all, p)
		}
	}
	return all
}

// HoldsEmbedding reports whether the embedding is one of the whole parameters.
func (a *Adapter) HoldsEmbedding() bool { return a.Whole[EmbedName] }

// Replaced returns a model's weights with the adapter's whole parameters in their place.
func (a *Adapter) Replaced(c Config, host *Weights[op.HostTensor]) *Weights[op.HostTensor] {
	if a == nil || len(a.Whole) == 0 {
		return host
	}
	c.Adapter = a
	whole := map[string]op.HostTensor{}
	for i, p := range AdapterParams(c) {
		if p.Whole {
			whole[p.Names[0]] = a.Weights[i]
		}
	}
	return MapWeights(c, host, func(p Param, h op.HostTensor) op.HostTensor {
		if w, ok := whole[p.Names[0]]; ok {
			return w
		}
		return h
	})
}

// Merged returns masters with the adapter added to them.
func (a *Adapter) Merged(c Config, masters *Weights[op.HostTensor]) *Weights[op.HostTensor] {
	c.Adapter = a
	at := map[string]int{}
	params := AdapterParams(c)
	for i := 0; i < len(params) && !params[i].Whole; i += 2 {
		at[params[i].Names[0]] = i
	}
	masters = a.Replaced(c, masters)
	return MapWeights(c, masters, func(p Param, h op.HostTensor) op.HostTensor {
		i, ok := at[p.Names[0]]
		if !ok {
			return h
		}
		A, B, r, K := a.Weights[i].F32, a.Weights[i+1].F32, params[i+1].Shape[1], p.Shape[1]
		m := op.HostTensor{Format: op.F32, Shape: h.Shape, F32: append([]float32(nil), h.F32...)}
		first := 0
		for _, b := range params[i].Blocks {
			for o := first; o < first+b.Rows && b.Group >= 0; o++ {
				for j, x := range B[o*r : (o+1)*r] {
					for k, y := range A[(b.Group*r+j)*K:][:K] {
						m.F32[o*K+k] += a.Scale * x * y
					}
				}
			}
			first += b.Rows
		}
		return m
	})
}

// AdapterParam describes an A or a B of an adapter, or a parameter that it holds as a whole.
type AdapterParam struct {
	Param
	B, Whole bool
	Blocks   []op.LowRankBlock
}

// AdapterParams describes A and B of each parameter that the configuration's adapter adds to, and then its whole parameters,
// both in the order of the data flow.
func AdapterParams(c Config) (all []AdapterParam) {
	NewNet[struct{}](c, c.DefaultScan()).Bind(Binding[struct{}]{Low: func(p Param, blocks []op.LowRankBlock) struct{} {
		all = append(all, AdapterParam{Param: p, B: len(all)%2 == 1, Blocks: blocks})
		return struct{}{}
	}})
	if c.Adapter == nil || len(c.Adapter.Whole) == 0 {
		return all
	}
	for _, p := range Params(c) {
		if c.Adapter.Whole[p.Names[0]] {
			all = append(all, AdapterParam{Param: p, Whole: true})
		}
	}
	return all
}

// Matrices lists all matrices that an adapter may name, with their sizes in files.
func Matrices(c Config) (all []Matrix) {
	d := matrices{binder: binder[struct{}]{}}
	for i, block := range NewNet[struct{}](c, c.DefaultScan()).Blocks {
		for _, l := range block {
			d.at.Block = i
			l.Declare(&d)
		}
	}
	return d.all
}

// Matrix describes a matrix that may have an adapter.
type Matrix struct {
	Name       string   // "layers.0.self_attn.q_proj.weight"
	Names      []string // our parts of the matrix, Name first
	Rows, Cols int
	Each       []int // rows of each part
	Of         Param // the parameter that contains it
}

// matrices is a Declarer that lists matrices.
type matrices struct {
	binder[struct{}]
	all []Matrix
}

// Adapter implements layer.Declarer.
func (d *matrices) Adapter(_ *layer.Adapter[struct{}], of layer.Param, blocks ...op.LowRankBlock) {
	of.Names, of.Layer = d.names(of.Names), d.at.Block
	begin := len(d.all)
	for i, b := range blocks {
		if b.Group == len(d.all)-begin {
			d.all = append(d.all, Matrix{Name: of.Names[i], Cols: of.Shape[1], Of: of})
		}
		m := &d.all[begin+b.Group]
		m.Names, m.Rows, m.Each = append(m.Names, of.Names[i]), m.Rows+b.Rows, append(m.Each, b.Rows)
	}
}

// names puts the block's prefix before names.
func (d *binder[T]) names(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = d.name(name)
	}
	return all
}

func (d *binder[T]) name(name string) string { return fmt.Sprintf("layers.%d.%s", d.at.Block, name) }

// low hands out the tensors one after the other, as Binding.Low needs it.
func (w Weights[T]) low() func(Param, []op.LowRankBlock) T {
	next := w.param()
	return func(p Param, _ []op.LowRankBlock) T { return next(p) }
}

// Low hands out the tensors of an adapter one after the other, as Binding.Low needs it.
func (w Weights[T]) Low() func(Param, []op.LowRankBlock) T { return w.low() }
