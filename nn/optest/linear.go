package optest

import (
	"fmt"

	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// matrix is a stack of ternary matrices (R, K).
type matrix struct {
	R, K, blocks int
	absmean      bool
}

func (m matrix) String() string {
	return fmt.Sprintf("%dx%d/blocks%d/%s", m.R, m.K, m.blocks, scaleName(m.absmean))
}

// gamma returns the γ that Bench.Ternary gives row r.
func (m matrix) gamma(r int) float64 { return 0.25 * float64(1+r*m.blocks/m.R) }

// scale returns the factor of products with row r.
func (m matrix) scale(r int) float64 {
	if m.absmean {
		return m.gamma(r)
	}
	return 1
}

var matrices = []matrix{
	{9, 36, 1, false}, {36, 9, 1, true}, {288, 36, 2, true}, {36, 144, 1, false}, {4, 1, 1, true}, {1, 4, 1, false},
	{27, 36, 3, true}, {192, 64, 3, false}, {75, 300, 1, true},
	{12, 36, 12, true}, {37, 100, 37, true},
}

// wide are matrices as wide as those of models: a row has enough blocks for every thread of the largest team, and its length is not
// a multiple of the 1024 activations that are read at a time. Their rows fill more than one workgroup.
var wide = []matrix{{37, 1091, 1, true}, {75, 2083, 3, true}}

func linearCases[T any]() []Case[T] {
	var cases []Case[T]
	for i, m := range wide {
		for j, n := range []int{1, 5} {
			cases = append(cases, linearAdd[T](m, n, (i+j)%2 == 0), normLinear[T](m, n))
		}
		cases = append(cases, linearBackward[T](m, 3))
	}
	for i, m := range matrices {
		for j, n := range []int{1, 2, 5, 8, 33} {
			cases = append(cases, linearAdd[T](m, n, (i+j)%2 == 0), normLinear[T](m, n))
		}
		for _, n := range []int{1, 5, 33} {
			cases = append(cases, linearBackward[T](m, n))
		}
		cases = append(cases, quantize[T](m))
	}
	cases = append(cases, linearFormats[T]()...)
	return append(append(cases, linearSpecial[T]()...),
		large(linearAdd[T](matrix{256, 1024, 1, true}, 1, true), 256*1024/4),
		large(linearAdd[T](matrix{256, 1024, 1, true}, 512, true), 256*1024/4+512*4*(1024+2*256)),
		large(normLinear[T](matrix{2048, 256, 2, false}, 1), 2048*256/4),
		large(normLinear[T](matrix{2048, 256, 2, false}, 512), 2048*256/4+512*4*(2*256+2048)),
		large(linearBackward[T](matrix{256, 1024, 1, true}, 512), 0),
		large(quantize[T](matrix{2048, 256, 2, false}), 2048*256*(4*2+1)),
	)
}

// linearAdd adds whole numbers to products of whole numbers: exact in any order, and for absmean
// too, because its γ are multiples of a quarter.
func linearAdd[T any](m matrix, n int, inPlace bool) Case[T] {
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("add/n%d/%v/inPlace=%v", n, m, inPlace), Tolerance: exact,
		Make: func(b *Bench[T]) Trial[T] {
			x, r := b.Whole("x", 100, n, m.K), b.Whole("r", 1000, n, m.R)
			w, y := b.Ternary("w", m.R, m.K, m.blocks, m.absmean), b.Stale("y", n, m.R)
			forward := op.Program[T]{&op.Linear[T]{Y: y, Addend: r, X: x, W: w}}
			if inPlace {
				forward = op.Program[T]{&op.Copy[T]{Dst: y, Src: r, N: n * m.R}, &op.Linear[T]{Y: y, Addend: y, X: x, W: w}}
			}
			return Trial[T]{
				Forward: b.program(forward...),
				Outputs: []string{"y"},
				Check: func(v Values) error { // by definition
					x, w, r, want := b.Start("x"), b.Start("w"), b.Start("r"), make([]float32, n*m.R)
					for i := range n {
						for j := range m.R {
							sum := 0.0
							for k := range m.K {
								sum += float64(x[i*m.K+k]) * float64(w[j*m.K+k])
							}
							want[i*m.R+j] = float32(float64(r[i*m.R+j]) + sum*m.scale(j))
						}
					}
					return exact.compare("y", v("y"), want)
				},
			}
		},
	}
}

func normLinear[T any](m matrix, n int) Case[T] {
	m.K = (m.K + 3) / 4 * 4 // the model's width
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("norm/n%d/%v", n, m), Tolerance: summing(m.K),
		Make: func(b *Bench[T]) Trial[T] {
			h, gain, w := b.Normal("h", 1, n, m.K), b.Near("gain", 1, 0.3, m.K), b.Ternary("w", m.R, m.K, m.blocks, m.absmean)
			x, y := b.Stale("x", n, m.K), b.Stale("y", n, m.R)
			return Trial[T]{
				Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: y, X: x, W: w}),
				Outputs: []string{"x", "y"},
			}
		},
	}
}

// linearBackward checks the straight-through gradient by its definition: the gradient of w is that of
// y = s·x·(w/γ)ᵀ with γ a constant.
func linearBackward[T any](m matrix, n int) Case[T] {
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("backward/n%d/%v", n, m), Tolerance: summing(m.K),
		Make: func(b *Bench[T]) Trial[T] {
			x, w := b.Normal("x", 1, n, m.K), b.Ternary("w", m.R, m.K, m.blocks, m.absmean)
			r, y := b.All("r", 0, n, m.R), b.Stale("y", n, m.R)
			dy, dx, dw := b.Normal("dy", 0.3, n, m.R), b.Stale("dx", n, m.K), b.Normal("dw", 1, m.R, m.K)
			return Trial[T]{
				Forward:  b.program(&op.Linear[T]{Y: y, Addend: r, X: x, W: w}),
				Outputs:  []string{"y"},
				Upstream: []string{"y"},
				Backward: b.program(&op.LinearBackward[T]{DX: dx, DW: dw, DY: dy, X: x, W: w}),
				Writes:   []string{"x"},
				Also:     []string{"dw"},
				Check: func(v Values) error {
					dy, x, want := b.Start("dy"), b.Start("x"), append([]float32(nil), b.Start("dw")...)
					for j := range m.R {
						for k := range m.K {
							sum := 0.0
							for i := range n {
								sum += float64(dy[i*m.R+j]) * float64(x[i*m.K+k])
							}
							want[j*m.K+k] += float32(sum * m.scale(j) / m.gamma(j))
						}
					}
					return summed.compare("dw", v("dw"), want)
				},
			}
		},
	}
}

// quantize keeps well away from halves, where rounding in another order may give another result.
func quantize[T any](m matrix) Case[T] {
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("quantize/%v", m), Tolerance: rounded,
		Make: func(b *Bench[T]) Trial[T] {
			w, q := b.Normal("w", 0.02, m.R, m.K), b.Room("q", m.R, m.K, m.blocks, m.absmean)
			each := m.R / m.blocks * m.K
			return Trial[T]{
				Forward: b.program(&op.Quantize[T]{Q: q, W: w}),
				Outputs: []string{"q"},
				Check: func(v Values) error {
					found := v("q")
					for i, x := range b.Start("w") {
						gamma := found[m.R*m.K+i/each]
						if want := ternary.Round(x, gamma); float32(want) != found[i] {
							return fmt.Errorf("weight %d: %v with γ %v: got %v, want %d", i, x, gamma, found[i], want)
						}
					}
					return nil
				},
			}
		},
	}
}

func linearSpecial[T any]() []Case[T] {
	add := func(name string, tolerance Tolerance, make func(b *Bench[T]) Trial[T]) Case[T] {
		return Case[T]{Op: "linear", Name: name, Tolerance: tolerance, Make: make}
	}
	product := func(name string, tolerance Tolerance, fill func(b *Bench[T]) T) Case[T] {
		return add("extreme/"+name, tolerance, func(b *Bench[T]) Trial[T] {
			x, r, w, y := fill(b), b.All("r", 0, 3, 36), b.Ternary("w", 36, 36, 1, true), b.Stale("y", 3, 36)
			return Trial[T]{Forward: b.program(&op.Linear[T]{Y: y, Addend: r, X: x, W: w}), Outputs: []string{"y"}}
		})
	}
	refusal := func(name string, n, R, K int) Case[T] {
		c := add("refuses/"+name, exact, func(b *Bench[T]) Trial[T] {
			x, r, y, w := b.Normal("x", 1, 2, 8), b.Normal("r", 1, 2, 12), b.Stale("y", n, R), b.Ternary("w", 12, K, 1, false)
			return Trial[T]{Forward: b.program(&op.Linear[T]{Y: y, Addend: r, X: x, W: w})}
		})
		c.Refuses = true
		return c
	}
	gradient := add("refuses/gradient", exact, func(b *Bench[T]) Trial[T] {
		x, w, dy := b.Normal("x", 1, 2, 8), b.Ternary("w", 12, 8, 1, false), b.Normal("dy", 1, 2, 12)
		dx, dw := b.Stale("dx", 2, 8), b.Stale("dw", 8, 12)
		return Trial[T]{Forward: b.program(&op.LinearBackward[T]{DX: dx, DW: dw, DY: dy, X: x, W: w})}
	})
	gradient.Refuses = true
	room := add("refuses/quantize", exact, func(b *Bench[T]) Trial[T] {
		w, q := b.Normal("w", 1, 8, 12), b.Room("q", 12, 8, 1, false)
		return Trial[T]{Forward: b.program(&op.Quantize[T]{Q: q, W: w})}
	})
	room.Refuses = true
	known := func(absmean bool, y []float32) Case[T] {
		return add("known/"+scaleName(absmean), exact, func(b *Bench[T]) Trial[T] {
			w := b.Packed("w", []float32{1, 0, -1, 1, 1, 1, 1, 1, 0, 0, 0, 0, -1, -1, 0, 1}, []float32{0.5, 2}, 4, 4, absmean)
			x, r, out := b.Floats("x", []float32{1, 2, 3, 4}, 1, 4), b.Floats("r", []float32{0, 0, 7, 100}, 1, 4), b.Stale("y", 1, 4)
			return Trial[T]{
				Forward: b.program(&op.Linear[T]{Y: out, Addend: r, X: x, W: w}),
				Outputs: []string{"y"},
				Want:    map[string][]float32{"y": y},
			}
		})
	}
	return []Case[T]{
		known(false, []float32{2, 10, 7, 101}), known(true, []float32{1, 5, 7, 102}),
		add("quantize/known", exact, func(b *Bench[T]) Trial[T] { // γ 1, 0.25 and the least; halves go away from zero
			w := b.Floats("w", []float32{0.5, -0.5, 1.5, -1.5, 0.125, -0.125, 0.5, 0.25, 0, 0, 0, 0}, 3, 4)
			q := b.Room("q", 3, 4, 3, true)
			return Trial[T]{
				Forward: b.program(&op.Quantize[T]{Q: q, W: w}),
				Outputs: []string{"q"},
				Want:    map[string][]float32{"q": {1, -1, 1, -1, 1, -1, 1, 1, 0, 0, 0, 0, 1, 0.25, 1e-5}},
			}
		}),
		add("quantize/then-multiply", exact, func(b *Bench[T]) Trial[T] { // what was written is what is read
			w, q := b.Floats("w", []float32{2, -2, 0.5, -0.5, 1, 1, 1, 1}, 2, 4), b.Room("q", 2, 4, 2, true)
			x, r, y := b.Floats("x", []float32{1, 10, 100, 1000}, 1, 4), b.All("r", 0, 1, 2), b.Stale("y", 1, 2)
			return Trial[T]{
				Forward: b.program(
					&op.Quantize[T]{Q: q, W: w},
					&op.Linear[T]{Y: y, Addend: r, X: x, W: q},
				),
				Outputs: []string{"y"},
				Want:    map[string][]float32{"y": {1.25 * (1 - 10), 1111}},
			}
		}),
		product("large", Tolerance{Abs: 1e25, Rel: 1e-5, Why: "sums of 36 numbers around 1e30"},
			func(b *Bench[T]) T { return b.Normal("x", 1e30, 3, 36) }),
		product("tiny", Tolerance{Abs: 1e-35, Rel: 1e-5, Why: "sums of 36 numbers around 1e-30"},
			func(b *Bench[T]) T { return b.Normal("x", 1e-30, 3, 36) }),
		product("zeros", exact, func(b *Bench[T]) T { return b.All("x", 0, 3, 36) }),
		product("equal", exact, func(b *Bench[T]) T { return b.All("x", 3, 3, 36) }),
		refusal("columns", 2, 12, 9), refusal("rows", 2, 11, 8), refusal("batch", 3, 12, 8), gradient, room,
	}
}
