package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

// hyper returns the numbers of step number `step`, counted from 0, as training uses them.
func hyper(step int, lr, clip float64) []float32 {
	h := make([]float32, op.HyperCount)
	h[op.HyperLR], h[op.HyperBeta1], h[op.HyperBeta2] = float32(lr), 0.9, 0.999
	h[op.HyperEps], h[op.HyperDecay], h[op.HyperClip] = 1e-8, 0.01, float32(clip)
	h[op.HyperCorrect1] = float32(1 - math.Pow(0.9, float64(step+1)))
	h[op.HyperCorrect2] = float32(1 - math.Pow(0.999, float64(step+1)))
	return h
}

func adamwCases[T any]() []Case[T] {
	// Gradients and moments from 0.1 to 1 of a size: nothing cancels, at any size.
	update := func(name string, rows, cols, step int, size, clip float64, log bool) Case[T] {
		return Case[T]{
			Op: "adamw", Name: fmt.Sprintf("%s/%dx%d/step%d", name, rows, cols, step),
			Tolerance: Tolerance{Rel: 1e-5, Why: "a few roundings of each number, and a norm"},
			Make: func(b *Bench[T]) Trial[T] {
				w, g := b.Between("w", 1, 2, rows, cols), b.Between("g", 0.1*size, size, rows, cols)
				m, v := b.Between("m", 0.1*size, size, rows, cols), b.Between("v", 0.1*size*size, size*size, rows, cols)
				sum, numbers := b.All("sum", 0, 1), b.Floats("hyper", hyper(step, 1e-3, clip), op.HyperCount)
				return Trial[T]{
					Forward: b.program(
						&op.Zero[T]{X: sum},
						&op.SumSquares[T]{Sum: sum, G: g},
						&op.AdamW[T]{W: w, M: m, V: v, G: g, SumSquares: sum, Hyper: numbers, Log: log},
					),
					Outputs: []string{"w", "m", "v"},
				}
			},
		}
	}
	squares := func(n int, tolerance Tolerance, make func(b *Bench[T]) T) Case[T] {
		return Case[T]{
			Op: "adamw", Name: fmt.Sprintf("squares/%d", n), Tolerance: tolerance,
			Make: func(b *Bench[T]) Trial[T] {
				sum, g := b.All("sum", 3, 1), make(b)
				return Trial[T]{Forward: b.program(&op.SumSquares[T]{Sum: sum, G: g}), Outputs: []string{"sum"}}
			},
		}
	}
	return []Case[T]{
		update("random", 36, 9, 0, 1, 0, false), update("random", 1, 1, 5, 1, 0, false), update("random", 300, 75, 999, 1, 0, false),
		update("clipped", 36, 9, 3, 1, 0.5, false), update("within-clip", 36, 9, 3, 1e-3, 100, false),
		update("extreme/tiny", 36, 9, 1, 1e-10, 0, false), update("extreme/large", 36, 9, 1, 1e10, 1, false),
		update("logarithm", 300, 75, 5, 1, 0.5, true),
		squares(1, rounded, func(b *Bench[T]) T { return b.Normal("g", 1, 1) }),
		squares(144, exact, func(b *Bench[T]) T { return b.Whole("g", 9, 36, 4) }),
		squares(70000, Tolerance{Rel: 1e-5, Why: "70,000 squares in any order"}, func(b *Bench[T]) T { return b.Normal("g", 1, 700, 100) }),
		{ // The first step goes lr against the sign of the gradient, whatever its size.
			Op: "adamw", Name: "known/first-step", Tolerance: Tolerance{Rel: 2e-5, Why: "1 − β₂ is that of a float32"},
			Make: func(b *Bench[T]) Trial[T] {
				w, g := b.Floats("w", []float32{1, -2, 0, 4}, 4), b.Floats("g", []float32{3, -0.5, 100, 0}, 4)
				m, v, sum := b.All("m", 0, 4), b.All("v", 0, 4), b.All("sum", 1e4, 1) // a clip of 0 clips nothing
				numbers := b.Floats("hyper", hyper(0, 0.125, 0), op.HyperCount)
				decay := func(w float32) float32 { return w * (1 - 0.125*0.01) }
				return Trial[T]{
					Forward: b.program(&op.AdamW[T]{W: w, M: m, V: v, G: g, SumSquares: sum, Hyper: numbers}),
					Outputs: []string{"w", "m", "v"},
					Want: map[string][]float32{
						"w": {decay(1) - 0.125, decay(-2) + 0.125, -0.125, decay(4)},
						"m": {0.3, -0.05, 10, 0}, "v": {9e-3, 0.25e-3, 10, 0},
					},
				}
			},
		},
		{ // The same step of logarithms multiplies: no sign changes, at any rate, and nothing decays.
			Op: "adamw", Name: "known/logarithm", Tolerance: Tolerance{Rel: 2e-5, Why: "1 − β₂ is that of a float32"},
			Make: func(b *Bench[T]) Trial[T] {
				w, g := b.Floats("w", []float32{-1, -2, 4, -0.5}, 4), b.Floats("g", []float32{3, -0.5, 100, 0}, 4)
				m, v, sum := b.All("m", 0, 4), b.All("v", 0, 4), b.All("sum", 1e4, 1)
				numbers := b.Floats("hyper", hyper(0, 2, 0), op.HyperCount)
				e := float32(math.Exp(2))
				return Trial[T]{
					Forward: b.program(&op.AdamW[T]{W: w, M: m, V: v, G: g, SumSquares: sum, Hyper: numbers, Log: true}),
					Outputs: []string{"w", "m", "v"},
					Want: map[string][]float32{
						"w": {-1 / e, -2 * e, 4 / e, -0.5},
						"m": {0.3, -0.05, 10, 0}, "v": {9e-3, 0.25e-3, 10, 0},
					},
				}
			},
		},
		{ // A clipped gradient of any length steps alike.
			Op: "adamw", Name: "invariant/clip", Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] {
				numbers := b.Floats("hyper", hyper(0, 0.125, 1), op.HyperCount)
				short, sum := b.Whole("short", 9, 36), b.All("sum", 0, 1)
				long := make([]float32, 36)
				for i, x := range b.Start("short") {
					long[i] = 1024 * x
				}
				g := []T{short, b.Floats("long", long, 36)}
				var w, m, v [2]T
				for i, name := range []string{".short", ".long"} {
					w[i], m[i], v[i] = b.All("w"+name, 1, 36), b.All("m"+name, 0, 36), b.All("v"+name, 0, 36)
				}
				var p op.Program[T]
				for i := range g {
					p.Add(&op.Zero[T]{X: sum}, &op.SumSquares[T]{Sum: sum, G: g[i]},
						&op.AdamW[T]{W: w[i], M: m[i], V: v[i], G: g[i], SumSquares: sum, Hyper: numbers})
				}
				return Trial[T]{
					Forward: b.program(p...),
					Outputs: []string{"m.short", "m.long", "w.short"},
					Check: func(v Values) error {
						squares := 0.0
						for _, g := range b.Start("short") {
							squares += float64(g) * float64(g)
						}
						unit := make([]float32, 36)
						for i, g := range b.Start("short") {
							unit[i] = float32(0.1 * float64(g) / math.Sqrt(squares))
						}
						if err := rounded.compare("m", v("m.short"), unit); err != nil {
							return err
						}
						return rounded.compare("m", v("m.long"), v("m.short"))
					},
				}
			},
		},
		{
			Op: "adamw", Name: "refuses/gradient", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				w, m, v, g := b.Normal("w", 1, 4, 9), b.Normal("m", 1, 4, 9), b.Normal("v", 1, 4, 9), b.Normal("g", 1, 9, 4)
				sum, numbers := b.All("sum", 0, 1), b.Floats("hyper", hyper(0, 1e-3, 0), op.HyperCount)
				return Trial[T]{Forward: b.program(&op.AdamW[T]{W: w, M: m, V: v, G: g, SumSquares: sum, Hyper: numbers})}
			},
		},
		large(update("random", 4096, 256, 5, 1, 1, false), 4*8*4096*256),
	}
}
