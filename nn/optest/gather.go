package optest

import (
	"fmt"

	"bitgpu/nn/op"
)

func gatherCases[T any]() []Case[T] {
	// Some rows are taken out and put in the place of others.
	random := func(slots []uint32, S int, shape ...int) Case[T] {
		return Case[T]{
			Op: "gather", Name: fmt.Sprintf("random/%v of %d/%v", slots, S, shape), Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				n := len(slots)
				src, dst := b.Normal("src", 1, append([]int{S}, shape...)...), b.Stale("dst", append([]int{n}, shape...)...)
				into, list := b.Normal("into", 1, append([]int{S}, shape...)...), b.IDs("slots", slots, n)
				return Trial[T]{
					Forward: b.program(&op.Gather[T]{Dst: dst, Src: src, Slots: list}, &op.Scatter[T]{Dst: into, Src: dst, Slots: list}),
					Outputs: []string{"dst", "into"},
				}
			},
		}
	}
	return []Case[T]{
		random([]uint32{0}, 1, 1), random([]uint32{3, 0, 1}, 5, 70), random([]uint32{6, 2}, 7, 3, 5), random([]uint32{1, 0}, 2, 66_000),
		{
			Op: "gather", Name: "known", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				src, dst, into := b.IDs("src", []uint32{1, 2, 3, 4, 5, 6}, 3, 2), b.IDs("dst", []uint32{9, 9, 9, 9}, 2, 2), b.IDs("into", []uint32{7, 7, 7, 7, 8, 8}, 3, 2)
				list := b.IDs("slots", []uint32{2, 0}, 2)
				return Trial[T]{
					Forward: b.program(&op.Gather[T]{Dst: dst, Src: src, Slots: list}, &op.Scatter[T]{Dst: into, Src: dst, Slots: list}),
					Outputs: []string{"dst", "into"},
					Want:    map[string][]float32{"dst": {5, 6, 1, 2}, "into": {1, 2, 7, 7, 5, 6}},
				}
			},
		},
		{ // bits stay as they are
			Op: "gather", Name: "extreme/large", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				src, dst := b.Normal("src", 1e30, 3, 4), b.Stale("dst", 1, 4)
				return Trial[T]{
					Forward: b.program(&op.Gather[T]{Dst: dst, Src: src, Slots: b.IDs("slots", []uint32{1}, 1)}),
					Outputs: []string{"dst"}, Check: func(got Values) error { return exact.compare("dst", got("dst"), b.Start("src")[4:8]) },
				}
			},
		},
		{
			Op: "gather", Name: "refuses/rows", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				return Trial[T]{Forward: b.program(&op.Gather[T]{
					Dst: b.Stale("dst", 2, 4), Src: b.Normal("src", 1, 3, 5), Slots: b.IDs("slots", []uint32{0, 1}, 2),
				})}
			},
		},
		large(random([]uint32{5, 0, 3, 6, 1, 7, 2, 4}, 8, 65536), 2*4*8*65536),
	}
}
