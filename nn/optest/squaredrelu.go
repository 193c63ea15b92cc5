package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

func squaredReLUCases[T any]() []Case[T] {
	random := func(n, H int) Case[T] {
		return Case[T]{
			Op: "squaredrelu", Name: fmt.Sprintf("random/%dx%d", n, H), Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] {
				gu, a := b.Normal("gu", 1, n, 2*H), b.Stale("a", n, H)
				return Trial[T]{Forward: b.program(&op.SquaredReLU[T]{A: a, GateUp: gu}), Outputs: []string{"a"}}
			},
		}
	}
	// Before a norm in place and a product of its rounded output, as in BitNet.
	whole := func(n, H int) Case[T] {
		return Case[T]{
			Op: "squaredrelu", Name: fmt.Sprintf("whole/%dx%d", n, H), Tolerance: wider,
			Make: func(b *Bench[T]) Trial[T] {
				gu, a, y := b.Normal("gu", 1, n, 2*H), b.Stale("a", n, H), b.Stale("y", n, 9)
				return Trial[T]{
					Forward: b.program(
						&op.SquaredReLU[T]{A: a, GateUp: gu}, &op.RMSNorm[T]{X: a, H: a, Gain: b.Near("gain", 1, 0.2, H), Eps: 1e-4},
						&op.Linear[T]{Y: y, X: a, W: b.Ternary("w", 9, H, 1, true), Int8: true},
					),
					Outputs: []string{"a", "y"},
				}
			},
		}
	}
	return []Case[T]{
		whole(1, 36), whole(3, 300), random(1, 1), random(2, 36), random(5, 300), random(33, 7),
		{
			Op: "squaredrelu", Name: "known", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				gu, a := b.Floats("gu", []float32{3, -2, 0, 1, -5, 7, -1, 2, 4, 1, 1, -0.5}, 2, 6), b.Stale("a", 2, 3)
				return Trial[T]{
					Forward: b.program(&op.SquaredReLU[T]{A: a, GateUp: gu}), Outputs: []string{"a"},
					Want: map[string][]float32{"a": {9, 0, 0, 0, 4, -8}},
				}
			},
		},
		{
			Op: "squaredrelu", Name: "extreme/large", Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] {
				gu, a := b.Floats("gu", []float32{1e15, -1e30, 0, 2, 3, 1e38}, 1, 6), b.Stale("a", 1, 3)
				return Trial[T]{
					Forward: b.program(&op.SquaredReLU[T]{A: a, GateUp: gu}), Outputs: []string{"a"},
					Want: map[string][]float32{"a": {2e30, 0, 0}},
				}
			},
		},
		{
			Op: "squaredrelu", Name: "beyond", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				gu, a := b.Floats("gu", []float32{float32(math.NaN()), 1, 1, 1}, 1, 4), b.Stale("a", 1, 2)
				return Trial[T]{
					Forward: b.program(&op.SquaredReLU[T]{A: a, GateUp: gu}),
					Check: func(Values) error {
						v := make([]float32, 2)
						if err := b.Ops.Download(a, 0, v); err != nil {
							return err
						}
						if v[0] == v[0] || v[1] != 1 {
							return fmt.Errorf("got %v, want NaN and 1", v)
						}
						return nil
					},
				}
			},
		},
		{
			Op: "squaredrelu", Name: "refuses/half", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				gu, a := b.Normal("gu", 1, 2, 12), b.Stale("a", 2, 12)
				return Trial[T]{Forward: b.program(&op.SquaredReLU[T]{A: a, GateUp: gu})}
			},
		},
		large(random(64, 4096), 64*4096*12),
	}
}
