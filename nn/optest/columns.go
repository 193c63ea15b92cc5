package optest

import (
	"fmt"

	"bitgpu/nn/op"
)

func columnsCases[T any]() []Case[T] {
	// Columns [from, from+N) of x become columns [to, to+N) of y, whose others stay.
	random := func(n, width, from, into, to, N int) Case[T] {
		return Case[T]{
			Op: "columns", Name: fmt.Sprintf("random/%d from %d of (%d, %d) to %d of %d", N, from, n, width, to, into), Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				x, y := b.Normal("x", 1, n, width), b.Normal("y", 1, n, into)
				return Trial[T]{
					Forward: b.program(&op.CopyColumns[T]{Dst: y, Src: x, DstFrom: to, SrcFrom: from, N: N}),
					Outputs: []string{"y"},
				}
			},
		}
	}
	refused := func(name string, n, from, to, N int) Case[T] {
		return Case[T]{
			Op: "columns", Name: "refuses/" + name, Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				x, y := b.Normal("x", 1, 3, 5), b.Normal("y", 1, n, 7)
				return Trial[T]{Forward: b.program(&op.CopyColumns[T]{Dst: y, Src: x, DstFrom: to, SrcFrom: from, N: N})}
			},
		}
	}
	return []Case[T]{
		random(1, 1, 0, 1, 0, 1), random(3, 64, 0, 128, 64, 64), random(5, 96, 32, 48, 0, 48), random(7, 33, 5, 129, 100, 17), random(300, 257, 1, 260, 3, 256),
		refused("rows", 4, 0, 0, 1), refused("columns of the source", 3, 2, 0, 4), refused("columns of the destination", 3, 0, 5, 3),
		{
			Op: "columns", Name: "known", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				x, y := b.Floats("x", []float32{1, 2, 3, 4, 5, 6}, 2, 3), b.Floats("y", []float32{9, 9, 8, 8}, 2, 2)
				return Trial[T]{
					Forward: b.program(&op.CopyColumns[T]{Dst: y, Src: x, DstFrom: 1, SrcFrom: 2, N: 1}),
					Outputs: []string{"y"}, Want: map[string][]float32{"y": {9, 3, 8, 6}},
				}
			},
		},
		{ // bits stay as they are
			Op: "columns", Name: "extreme/large", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				x, y := b.Normal("x", 1e30, 1, 4), b.Stale("y", 1, 4)
				return Trial[T]{
					Forward: b.program(&op.CopyColumns[T]{Dst: y, Src: x, N: 4}),
					Outputs: []string{"y"}, Check: func(got Values) error { return exact.compare("y", got("y"), b.Start("x")) },
				}
			},
		},
		large(random(256, 2048, 0, 4096, 2048, 2048), 2*4*256*2048),
	}
}
