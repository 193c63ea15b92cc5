package layer

import "bitgpu/nn/op"

// Adapter is the low-rank addition to a layer's product, see op.LowRank. The zero value adds nothing and costs nothing.
type Adapter[T any] struct {
	Rank   int // r, 0: no adapter
	Blocks []op.LowRankBlock
	Scale  float32
	// Inside: the adapter is added to the masters before they are quantised, so the product already contains it. Int8: the
	// adapter's input is rounded to int8.
	Inside, Int8 bool

	A, B T // (g·r, K), (R, r)
	Low  T // (n, g·r)
}

// forward appends y += Scale·B(A·x).
func (a *Adapter[T]) forward(p *op.Program[T], y, x T) {
	if a.Rank == 0 {
		return
	}
	if a.Inside {
		var none T
		y = none
	}
	p.Add(&op.LowRank[T]{Y: y, X: x, A: a.A, B: a.B, Low: a.Low, Blocks: a.Blocks, Scale: a.Scale, Int8: a.Int8})
}

// backward appends what adds to dx, and to the gradients of A and B in g.
func (a *Adapter[T]) backward(p *op.Program[T], g *Adapter[T], dx, dy, x T) {
	if a.Rank == 0 {
		return
	}
	if a.Inside {
		var none T
		dx = none
	}
	p.Add(&op.LowRankBackward[T]{
		DX: dx, DA: g.A, DB: g.B, DLow: g.Low, DY: dy, X: x, A: a.A, B: a.B, Low: a.Low, Blocks: a.Blocks, Scale: a.Scale, Int8: a.Int8,
	})
}

// evenly returns the blocks of a parameter whose names have equally many rows and a group each.
func evenly(p Param) []op.LowRankBlock {
	blocks := make([]op.LowRankBlock, len(p.Names))
	for i := range blocks {
		blocks[i] = op.LowRankBlock{Rows: p.Shape[0] / len(p.Names), Group: i}
	}
	return blocks
}

// adapted declares a matrix and its adapter.
func adapted[T any](d Declarer[T], t *T, a *Adapter[T], p Param) {
	d.Param(t, p)
	d.Adapter(a, p, evenly(p)...)
}
