package peft

import (
	"fmt"
	"math"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// Weighted is an adapter with the weight of its contribution.
type Weighted struct {
	*Adapter
	Weight float64
}

// Times gives an adapter a weight. A weight that is not finite, or too large for float32, is an error.
func (a *Adapter) Times(weight float64) (Weighted, error) {
	w := Weighted{a, weight}
	if math.IsNaN(weight) || math.IsInf(weight, 0) {
		return w, fmt.Errorf("%s: got the weight %v, want a number", a.Path, weight)
	}
	if len(a.whole) > 0 && weight != 1 {
		return w, fmt.Errorf("%s: got the weight %v, want 1: it holds %d norms or tables as a whole, and those have no parts", a.Path, weight, len(a.whole))
	}
	for _, m := range a.matrices {
		factor := math.Abs(weight * m.scale)
		for _, x := range m.b {
			if !(factor <= math.MaxFloat32 && factor*math.Abs(float64(x)) <= math.MaxFloat32) {
				return w, fmt.Errorf("%s: got the weight %v, want less: times the numbers of %s it is too large for float32", a.Path, weight, m.Name)
			}
		}
	}
	return w, nil
}

// Join combines several adapters into one that adds the sum of their contributions. A single adapter with one scale and
// weight 1 stays as it is, so that training can continue from it. Two adapters that hold the same parameter as a whole are an
// error.
func Join(c nn.Config, all ...Weighted) (*nn.Adapter, error) {
	out := &nn.Adapter{Ranks: map[string]int{}, Scale: 1}
	if len(all) == 1 {
		out.Scale = float32(all[0].matrices[0].scale)
		for _, m := range all[0].matrices {
			if float32(m.scale) != out.Scale {
				out.Scale = 1
			}
		}
	}
	parts := map[string][]matrix{}
	for _, w := range all {
		for _, m := range w.matrices {
			if factor := float32(w.Weight * m.scale / float64(out.Scale)); len(all) > 1 || out.Scale != float32(m.scale) || w.Weight != 1 {
				scaled := make([]float32, len(m.b))
				for i, x := range m.b {
					scaled[i] = factor * x
				}
				m.b = scaled
			}
			parts[m.Name] = append(parts[m.Name], m)
			out.Ranks[m.Name] += m.rank
		}
	}
	c.Adapter = out
	for _, p := range nn.AdapterParams(c) {
		h := op.HostTensor{Format: op.F32, Shape: p.Shape, F32: make([]float32, op.Count(p.Shape))}
		each(p, func(name string, row, group, part, rows int) {
			first := 0 // row of the joined rank
			for _, m := range parts[name] {
				if !p.B && part == 0 {
					rank := p.Shape[0] / groups(p)
					copy(h.F32[(group*rank+first)*m.Cols:], m.a)
				}
				if p.B {
					rank, from := p.Shape[1], part*rows
					for i := range rows {
						copy(h.F32[(row+i)*rank+first:], m.b[(from+i)*m.rank:(from+i+1)*m.rank])
					}
				}
				first += m.rank
			}
		})
		out.Weights = append(out.Weights, h)
	}
	return out, joinWhole(c, out, all)
}

// each calls do for every adapted block of a parameter, with the name of its matrix in files, the block's first row, its
// group, which of the matrix's equally large parts it is, and its rows.
func each(p nn.AdapterParam, do func(name string, row, group, part, rows int)) {
	names, parts := map[int]string{}, map[int]int{}
	row := 0
	for i, b := range p.Blocks {
		if b.Group >= 0 {
			if _, ok := names[b.Group]; !ok {
				names[b.Group] = p.Names[i]
			}
			do(names[b.Group], row, b.Group, parts[b.Group], b.Rows)
			parts[b.Group]++
		}
		row += b.Rows
	}
}

// groups counts the adapted matrices of a parameter.
func groups(p nn.AdapterParam) (n int) {
	for _, b := range p.Blocks {
		n = max(n, b.Group+1)
	}
	return n
}

// split is the inverse of Join: it returns the adapters of the single matrices.
func split(c nn.Config, a *nn.Adapter) ([]matrix, error) {
	c.Adapter = a
	params := nn.AdapterParams(c)
	if len(params) != len(a.Weights) {
		return nil, fmt.Errorf("peft: got %d tensors of an adapter, want %d", len(a.Weights), len(params))
	}
	by := map[string]*matrix{}
	var all []matrix
	for _, m := range nn.Matrices(c) {
		if r := a.Ranks[m.Name]; r > 0 {
			all = append(all, matrix{Matrix: m, rank: r, scale: float64(a.Scale), a: make([]float32, r*m.Cols), b: make([]float32, m.Rows*r)})
		}
	}
	for i := range all {
		by[all[i].Name] = &all[i]
	}
	for i, p := range params {
		if p.Whole {
			continue
		}
		from := a.Weights[i].F32
		each(p, func(name string, row, group, part, rows int) {
			m := by[name]
			switch {
			case p.B:
				rank := p.Shape[1]
				for i := range rows {
					copy(m.b[(part*rows+i)*m.rank:(part*rows+i+1)*m.rank], from[(row+i)*rank:])
				}
			case part == 0:
				rank := p.Shape[0] / groups(p)
				copy(m.a, from[group*rank*m.Cols:])
			}
		})
	}
	return all, nil
}
