package optest

import (
	"fmt"

	"bitgpu/nn/op"
)

// lowRankBlocks are of three groups: one that two blocks share, none, and one by itself.
var lowRankBlocks = []op.LowRankBlock{{Rows: 5, Group: 0}, {Rows: 3, Group: -1}, {Rows: 40, Group: 1}, {Rows: 5, Group: 0}}

func lowRankCase[T any](n, K int) Case[T] {
	const r, groups, R = 3, 2, 53
	return Case[T]{
		Op: "lowrank", Name: fmt.Sprintf("random/n%d/%d", n, K), Tolerance: summing(K), Needs: []op.Op[T]{&op.LowRank[T]{}, &op.LowRankBackward[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			x, w, y := b.Normal("x", 1, n, K), b.Ternary("w", R, K, 1, true), b.Stale("y", n, R)
			A, B, low := b.Normal("a", 0.1, groups*r, K), b.Normal("b", 0.3, R, r), b.Stale("low", n, groups*r)
			dx, da, db, dlow, dy := b.Stale("dx", n, K), b.Normal("da", 1, groups*r, K), b.Normal("db", 1, R, r), b.Stale("dlow", n, groups*r), b.Normal("dy", 0.2, n, R)
			return Trial[T]{
				Forward: b.program(&op.Linear[T]{Y: y, X: x, W: w}, &op.LowRank[T]{Y: y, X: x, A: A, B: B, Low: low, Blocks: lowRankBlocks, Scale: 2}),
				Outputs: []string{"y", "low"}, Upstream: []string{"y"},
				Backward: b.program(
					&op.LinearBackward[T]{DX: dx, DY: dy, X: x, W: w},
					&op.LowRankBackward[T]{DX: dx, DA: da, DB: db, DLow: dlow, DY: dy, X: x, A: A, B: B, Low: low, Blocks: lowRankBlocks, Scale: 2},
				),
				Writes: []string{"x"}, Adds: []string{"a", "b"}, Also: []string{"dlow"},
			}
		},
	}
}

// lowRankZero: with B = 0 a product does not change, to the bit.
func lowRankZero[T any]() Case[T] {
	return Case[T]{
		Op: "lowrank", Name: "known/zero", Tolerance: exact, Needs: []op.Op[T]{&op.LowRank[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			const n, R = 2, 53
			x, A, B, low := b.Whole("x", 4, n, 8), b.Whole("a", 4, 6, 8), b.All("b", 0, R, 3), b.Stale("low", n, 6)
			y, sum := b.Normal("start", 1, n, R), b.Stale("y", n, R)
			return Trial[T]{
				Forward: b.program(&op.Copy[T]{Dst: sum, Src: y, N: n * R}, &op.LowRank[T]{Y: sum, X: x, A: A, B: B, Low: low, Blocks: lowRankBlocks, Scale: 2}),
				Outputs: []string{"y"}, Want: map[string][]float32{"y": b.Start("start")},
			}
		},
	}
}

func lowRankRefused[T any]() Case[T] {
	return Case[T]{
		Op: "lowrank", Name: "refuses/rows", Refuses: true, Needs: []op.Op[T]{&op.LowRank[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			x, A, B, low, y := b.Normal("x", 1, 2, 8), b.Normal("a", 1, 6, 8), b.Normal("b", 1, 52, 3), b.Stale("low", 2, 6), b.Stale("y", 2, 53)
			return Trial[T]{Forward: b.program(&op.LowRank[T]{Y: y, X: x, A: A, B: B, Low: low, Blocks: lowRankBlocks, Scale: 1})}
		},
	}
}

// lowRankInside is what an adapter inside the quantiser needs: masters that it was added to, and the gradients of A and B through
// the rounded product, but not that of the input.
func lowRankInside[T any](n, K int, int8 bool) Case[T] {
	const r, groups, R = 3, 2, 53
	return Case[T]{
		Op: "lowrank", Name: fmt.Sprintf("inside/n%d/%d/int8=%v", n, K, int8), Tolerance: summing(K),
		Make: func(b *Bench[T]) Trial[T] {
			x, base, w := b.Normal("x", 1, n, K), b.Normal("base", 1, R, K), b.Stale("w", R, K)
			A, B, low := b.Normal("a", 0.1, groups*r, K), b.Normal("b", 0.3, R, r), b.Stale("low", n, groups*r)
			da, db, dlow, dy := b.Normal("da", 1, groups*r, K), b.Normal("db", 1, R, r), b.Stale("dlow", n, groups*r), b.Normal("dy", 0.2, n, R)
			return Trial[T]{
				Forward: b.program(
					&op.LowRankMerge[T]{W: w, Base: base, A: A, B: B, Blocks: lowRankBlocks, Scale: 2},
					&op.LowRank[T]{X: x, A: A, B: B, Low: low, Blocks: lowRankBlocks, Scale: 2, Int8: int8},
				),
				Outputs:  []string{"w", "low"},
				Backward: b.program(&op.LowRankBackward[T]{DA: da, DB: db, DLow: dlow, DY: dy, X: x, A: A, B: B, Low: low, Blocks: lowRankBlocks, Scale: 2, Int8: int8}),
				Also:     []string{"da", "db", "dlow"},
			}
		},
	}
}
