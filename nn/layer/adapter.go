package layer

import "bitgpu/nn/op"

// Adapter is what a layer's product has beside its matrix, see op.LowRank. The zero value adds nothing, and costs nothing.
type Adapter[T any] struct {
	Rank   int // r, 0: there is none
	Blocks []op.LowRankBlock
	Scale  float32
	// Inside says that it is inside the quantiser of the matrix, whose product then has it already; Int8 that this rounds its input.
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

// backward appends what adds to dx and to the gradients of A and B, which g has.
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

// evenly are the blocks of a parameter whose names have groups and as many rows each.
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
