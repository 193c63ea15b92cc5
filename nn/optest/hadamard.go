package optest

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"bitgpu/nn/op"
)

func hadamardCases[T any]() []Case[T] {
	transform := func(n, D, block int, inverse, inPlace bool) Case[T] {
		return Case[T]{
			Op: "hadamard", Name: fmt.Sprintf("random/%dx%d/block%d/inverse=%v/inPlace=%v", n, D, block, inverse, inPlace), Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				x, signs := b.Normal("x", 1, n, D), make([]float32, D)
				r := b.random("signs")
				for i := range signs {
					signs[i] = float32(1 - 2*r.IntN(2))
				}
				y := b.Stale("y", n, D)
				s := b.Floats("signs", signs, D)
				p := op.Program[T]{&op.Hadamard[T]{Y: y, X: x, Signs: s, Block: block, Inverse: inverse}}
				if inPlace {
					p = op.Program[T]{&op.Copy[T]{Dst: y, Src: x, N: n * D}, &op.Hadamard[T]{Y: y, X: y, Signs: s, Block: block, Inverse: inverse}}
				}
				return Trial[T]{
					Forward: b.program(p...), Outputs: []string{"y"},
					Check: func(v Values) error { // by definition, one row of each block
						x, want, got := b.Start("x"), []float32(nil), []float32(nil)
						for at := 0; at < n*D; at += block {
							i, sum := at/block%block, 0.0
							for j := range block {
								term := float64(x[at+j])
								if !inverse {
									term *= float64(signs[(at+j)%D])
								}
								if bits.OnesCount(uint(i&j))%2 == 1 {
									term = -term
								}
								sum += term
							}
							sum /= math.Sqrt(float64(block))
							if inverse {
								sum *= float64(signs[(at+i)%D])
							}
							want, got = append(want, float32(sum)), append(got, v("y")[at+i])
						}
						return summed.compare("y", got, want)
					},
				}
			},
		}
	}
	var cases []Case[T]
	for i, s := range [][3]int{{1, 4, 4}, {3, 36, 2}, {2, 7, 1}, {5, 96, 32}, {1, 384, 128}, {33, 128, 64}, {2, 1024, 1024}, {1, 4096, 4096}, {1, 6144, 2048}} {
		cases = append(cases, transform(s[0], s[1], s[2], i%2 == 0, i%3 == 0), transform(s[0], s[1], s[2], i%2 == 1, i%3 > 0))
	}
	// In place, after the operation that makes its input.
	behind := func(name string, n, D, block int, make func(b *Bench[T], y T) op.Op[T]) Case[T] {
		return Case[T]{
			Op: "hadamard", Name: fmt.Sprintf("behind/%s/%dx%d/block%d", name, n, D, block), Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				y := b.Stale("y", n, D)
				return Trial[T]{
					Forward: b.program(make(b, y), &op.Hadamard[T]{Y: y, X: y, Signs: b.Floats("signs", slices.Repeat([]float32{1, -1}, D/2), D), Block: block}),
					Outputs: []string{"y"},
				}
			},
		}
	}
	for _, s := range [][3]int{{1, 96, 32}, {5, 36, 4}, {2, 2048, 1024}, {3, 4096, 4096}} {
		n, D := s[0], s[1]
		cases = append(cases,
			behind("norm", n, D, s[2], func(b *Bench[T], y T) op.Op[T] {
				return &op.RMSNorm[T]{X: y, H: b.Normal("h", 1, n, D), Gain: b.Near("gain", 1, 0.2, D), Eps: 1e-3}
			}),
			behind("swiglu", n, D, s[2], func(b *Bench[T], y T) op.Op[T] { return &op.SwiGLU[T]{A: y, GateUp: b.Normal("gu", 1, n, 2*D)} }),
			behind("squaredrelu", n, D, s[2], func(b *Bench[T], y T) op.Op[T] { return &op.SquaredReLU[T]{A: y, GateUp: b.Normal("gu", 1, n, 2*D)} }),
		)
	}
	given := func(name string, x, signs, want []float32) Case[T] {
		return Case[T]{
			Op: "hadamard", Name: name, Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				D := len(x)
				return Trial[T]{
					Forward: b.program(&op.Hadamard[T]{Y: b.Stale("y", 1, D), X: b.Floats("x", x, 1, D), Signs: b.Floats("signs", signs, D), Block: D}),
					Outputs: []string{"y"}, Want: map[string][]float32{"y": want},
				}
			},
		}
	}
	return append(cases,
		Case[T]{
			Op: "hadamard", Name: "undoes", Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				x, y, s := b.Normal("x", 1, 3, 64), b.Stale("y", 3, 64), b.Floats("signs", []float32{
					1, -1, -1, 1, 1, 1, -1, 1, 1, -1, -1, 1, 1, 1, -1, 1, 1, -1, -1, 1, 1, 1, -1, 1, 1, -1, -1, 1, 1, 1, -1, 1,
					-1, -1, -1, 1, 1, 1, -1, 1, 1, -1, 1, 1, 1, 1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, 1, -1, -1,
				}, 64)
				return Trial[T]{
					Forward: b.program(&op.Hadamard[T]{Y: y, X: x, Signs: s, Block: 32}, &op.Hadamard[T]{Y: y, X: y, Signs: s, Block: 32, Inverse: true}),
					Outputs: []string{"y"},
					Check:   func(v Values) error { return summed.compare("y", v("y"), b.Start("x")) },
				}
			},
		},
		given("known", []float32{1, 2, 3, 4}, []float32{1, -1, 1, -1}, []float32{-1, 5, 0, -2}),
		given("extreme/large", []float32{1e30, 1e30, 1e30, 1e30}, []float32{1, 1, 1, 1}, []float32{2e30, 0, 0, 0}),
		given("extreme/zeros", make([]float32, 4), []float32{1, -1, -1, 1}, make([]float32, 4)),
		Case[T]{
			Op: "hadamard", Name: "refuses/signs", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				x, y, s := b.Normal("x", 1, 2, 8), b.Stale("y", 2, 8), b.All("signs", 1, 4)
				return Trial[T]{Forward: b.program(&op.Hadamard[T]{Y: y, X: x, Signs: s, Block: 4})}
			},
		},
		large(transform(64, 4096, 1024, false, false), 64*4096*8),
	)
}
