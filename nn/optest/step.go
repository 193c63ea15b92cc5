package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

func stepCases[T any]() []Case[T] {
	random := func(n, h, D int) Case[T] {
		return Case[T]{
			Op: "step", Name: fmt.Sprintf("random/n%d/%dx%d", n, h, D), Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				x, w, bias := b.Normal("x", 1, n, D), b.Normal("w", 0.2, h, D), b.Normal("bias", 1, h)
				y, dy := b.Stale("b", n, h), b.Normal("db", 1, n, h)
				dx, dw, dbias := b.Normal("dx", 1, n, D), b.Normal("dw", 1, h, D), b.Normal("dbias", 1, h)
				return Trial[T]{
					Forward:  b.program(&op.StepSize[T]{Beta: y, X: x, W: w, Bias: bias}),
					Outputs:  []string{"b"},
					Upstream: []string{"b"},
					Backward: b.program(&op.StepSizeBackward[T]{DX: dx, DW: dw, DBias: dbias, DBeta: dy, Beta: y, X: x, W: w}),
					Adds:     []string{"x", "w", "bias"},
				}
			},
		}
	}
	known := func(name string, x, w, bias, want []float32) Case[T] {
		return Case[T]{
			Op: "step", Name: name, Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] {
				n, D, h := len(want)/len(bias), len(w)/len(bias), len(bias)
				input, weight, shift := b.Floats("x", x, n, D), b.Floats("w", w, h, D), b.Floats("bias", bias, h)
				y := b.Stale("b", n, h)
				return Trial[T]{
					Forward: b.program(&op.StepSize[T]{Beta: y, X: input, W: weight, Bias: shift}),
					Outputs: []string{"b"},
					Want:    map[string][]float32{"b": want},
				}
			},
		}
	}
	sigmoid := func(x float64) float32 { return float32(1 / (1 + math.Exp(-x))) }
	return []Case[T]{
		random(1, 1, 4), random(1, 3, 36), random(2, 1, 300), random(5, 2, 36), random(8, 4, 144), random(33, 3, 36), random(300, 1, 4),
		known("known", []float32{1, 2, 0, -1, 0, 0, 0, 0}, []float32{1, 0.5, 9, 1, 0, 0, 0, 2}, []float32{0, 0.25},
			[]float32{sigmoid(1), sigmoid(-1.75), 0.5, sigmoid(0.25)}),
		known("extreme/saturated", []float32{100, -100}, []float32{100}, []float32{0}, []float32{1, 0}),
		known("extreme/zeros", make([]float32, 4), make([]float32, 8), make([]float32, 2), []float32{0.5, 0.5}),
		{
			Op: "step", Name: "refuses/width", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				x, w, bias, y := b.Normal("x", 1, 2, 8), b.Normal("w", 1, 3, 9), b.Normal("bias", 1, 3), b.Stale("b", 2, 3)
				return Trial[T]{Forward: b.program(&op.StepSize[T]{Beta: y, X: x, W: w, Bias: bias})}
			},
		},
		{
			Op: "step", Name: "refuses/backward", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				x, w, y, dy := b.Normal("x", 1, 2, 8), b.Normal("w", 1, 3, 8), b.Stale("b", 2, 3), b.Normal("db", 1, 2, 3)
				dx, dw, dbias := b.Stale("dx", 2, 8), b.Stale("dw", 3, 8), b.Stale("dbias", 2)
				return Trial[T]{Forward: b.program(&op.StepSizeBackward[T]{DX: dx, DW: dw, DBias: dbias, DBeta: dy, Beta: y, X: x, W: w})}
			},
		},
		large(random(512, 4, 256), 4*(512*260+4*256)),
	}
}
