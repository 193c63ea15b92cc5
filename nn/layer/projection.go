package layer

import (
	"strings"

	"bitgpu/nn/op"
)

// Projection is a linear layer with its adapter. The matrices that read the same rows are one parameter, whose products stand
// side by side, unless each has a norm of its own in front (BitNet's use_rms_norm): then each matrix is a parameter, and each norm.
type Projection[T any] struct {
	Int8    bool    // inputs of the product are rounded, see op.Linear
	NormEps float64 // ε of the norms in front of each matrix, 0: there are none

	W       T // (R, K)
	Adapter Adapter[T]

	parts []normedPart[T] // in place of W and Adapter where there are norms
}

// normedPart is one of a projection's matrices behind a norm of its own.
type normedPart[T any] struct {
	W, Gain T // (rows, K), (K)
	X, Y    T // (n, K) normalised, (n, rows)
	Adapter Adapter[T]
	rows    int
}

// adapted returns what the part's adapter reads: the layer's own input, as in PEFT, unless the adapter is inside the matrix.
func (l *normedPart[T]) adapted(x T) T {
	if l.Adapter.Inside {
		return l.X
	}
	return x
}

// declare declares matrices that read one input. The blocks are the rows of the parameter's names.
func (l *Projection[T]) declare(d Declarer[T], p Param, blocks ...op.LowRankBlock) {
	if l.NormEps == 0 {
		d.Param(&l.W, p)
		d.Adapter(&l.Adapter, p, blocks...)
		return
	}
	if l.parts == nil {
		l.parts = make([]normedPart[T], len(p.Names))
	}
	K := p.Shape[1]
	for i := range l.parts {
		part, name := &l.parts[i], p.Names[i]
		part.rows = blocks[i].Rows
		d.Param(&part.Gain, gain(strings.TrimSuffix(name, "weight")+"rms_norm.weight", K))
		adapted(d, &part.W, &part.Adapter, linear([]int{part.rows, K}, name))
		d.Rows(&part.X, Rows{Name: "input of " + name, Shape: []int{K}, Gradient: true})
		if len(l.parts) > 1 {
			d.Rows(&part.Y, Rows{Name: "product of a matrix", Shape: []int{part.rows}, Gradient: true})
		}
	}
}

// forward appends y = W·x.
func (l *Projection[T]) forward(p *op.Program[T], y, x T) {
	var none T
	l.add(p, y, none, x)
}

// add appends y = addend + W·x, for one matrix. y may be addend.
func (l *Projection[T]) add(p *op.Program[T], y, addend, x T) {
	if l.NormEps == 0 {
		p.Add(&op.Linear[T]{Y: y, Addend: addend, X: x, W: l.W, Int8: l.Int8})
		l.Adapter.forward(p, y, x)
		return
	}
	from := 0
	for i := range l.parts {
		part := &l.parts[i]
		product := y
		if len(l.parts) > 1 {
			product = part.Y
		}
		p.Add(
			&op.RMSNorm[T]{X: part.X, H: x, Gain: part.Gain, Eps: l.NormEps},
			&op.Linear[T]{Y: product, Addend: addend, X: part.X, W: part.W, Int8: l.Int8},
		)
		part.Adapter.forward(p, product, part.adapted(x))
		if len(l.parts) > 1 {
			p.Add(&op.CopyColumns[T]{Dst: y, Src: part.Y, DstFrom: from, N: part.rows})
		}
		from += part.rows
	}
}

// backward appends what writes the gradient dx of the input, and adds to those of the parameters in g.
func (l *Projection[T]) backward(p *op.Program[T], g *Projection[T], dx, dy, x T) {
	if l.NormEps == 0 {
		p.Add(&op.LinearBackward[T]{DX: dx, DW: g.W, DY: dy, X: x, W: l.W, Int8: l.Int8})
		l.Adapter.backward(p, &g.Adapter, dx, dy, x)
		return
	}
	p.Add(&op.Zero[T]{X: dx})
	from := 0
	for i := range l.parts {
		part, gp := &l.parts[i], &g.parts[i]
		dproduct := dy
		if len(l.parts) > 1 {
			dproduct = gp.Y
			p.Add(&op.CopyColumns[T]{Dst: dproduct, Src: dy, SrcFrom: from, N: part.rows})
		}
		p.Add(
			&op.LinearBackward[T]{DX: gp.X, DW: gp.W, DY: dproduct, X: part.X, W: part.W, Int8: l.Int8},
			&op.RMSNormBackward[T]{DH: dx, DGain: gp.Gain, DX: gp.X, H: x, Gain: part.Gain, Eps: l.NormEps},
		)
		part.Adapter.backward(p, &gp.Adapter, dx, dproduct, part.adapted(x))
		from += part.rows
	}
}
