package optest

import (
	"fmt"
	"math"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

// The norm precedes a product, as in a model, so that a backend may fuse the two.
func rmsnormCases[T any]() []Case[T] {
	norm := func(name string, n, D int, fill func(b *Bench[T]) T) Case[T] {
		return Case[T]{
			Op: "rmsnorm", Name: fmt.Sprintf("%s/%dx%d", name, n, D), Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] {
				h, gain := fill(b), b.Near("gain", 1, 0.3, D)
				w := b.Ternary("w", 4, D, 1, false)
				x, y := b.Stale("x", n, D), b.Stale("y", n, 4)
				return Trial[T]{
					Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: y, X: x, W: w}),
					Outputs: []string{"x"},
					Check: func(v Values) error { // by definition
						want := make([]float32, n*D)
						for i := range n {
							row, sum := b.Start("h")[i*D:(i+1)*D], 0.0
							for _, a := range row {
								sum += float64(a) * float64(a)
							}
							for j, a := range row {
								want[i*D+j] = float32(float64(a) / math.Sqrt(sum/float64(D)+1e-5) * float64(b.Start("gain")[j]))
							}
						}
						return rounded.compare("x", v("x"), want)
					},
				}
			},
		}
	}
	normal := func(std float64, n, D int) func(b *Bench[T]) T {
		return func(b *Bench[T]) T { return b.Normal("h", std, n, D) }
	}
	var cases []Case[T]
	for _, n := range []int{1, 2, 5, 8, 33} {
		for _, D := range []int{4, 36, 300} {
			cases = append(cases, norm("random", n, D, normal(1, n, D)))
		}
	}
	for _, n := range []int{1, 2, 5, 33} {
		cases = append(cases, beyond[T](n))
	}
	backward := func(name string, n, D int, std float64) Case[T] {
		return Case[T]{
			Op: "rmsnorm", Name: fmt.Sprintf("backward/%s/%dx%d", name, n, D), Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				h, gain := b.Normal("h", std, n, D), b.Near("gain", 1, 0.3, D)
				w := b.Ternary("w", 4, D, 1, false)
				x, y := b.Stale("x", n, D), b.Stale("y", n, 4)
				dx, dh, dgain := b.Normal("dx", 1, n, D), b.Normal("dh", 1, n, D), b.Normal("dgain", 1, D)
				return Trial[T]{
					Forward:  b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: y, X: x, W: w}),
					Outputs:  []string{"x"},
					Upstream: []string{"x"},
					Backward: b.program(&op.RMSNormBackward[T]{DH: dh, DGain: dgain, DX: dx, H: h, Gain: gain}),
					Adds:     []string{"h", "gain"},
				}
			},
		}
	}
	for _, n := range []int{1, 5, 33, 300} {
		cases = append(cases, backward("random", n, 36, 1))
	}
	for i, eps := range []float64{1e-6, 1e-2, 3} {
		cases = append(cases, normEps[T](eps, 1+16*i, 36+64*i, i%2 == 0), normEps[T](eps, 3, 300, i%2 == 1))
	}
	return append(cases,
		backward("random", 2, 4, 1), backward("random", 3, 300, 1), backward("extreme/large", 3, 36, 1e4),
		norm("extreme/large", 2, 36, normal(1e15, 2, 36)),
		norm("extreme/tiny", 2, 36, normal(1e-18, 2, 36)),
		norm("extreme/near-epsilon", 2, 36, normal(3e-3, 2, 36)),
		norm("extreme/zeros", 2, 36, func(b *Bench[T]) T { return b.All("h", 0, 2, 36) }),
		Case[T]{
			Op: "rmsnorm", Name: "known", Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] { // mean(h²) + ε = 4
				a := float32(math.Sqrt(4 - 1e-5))
				h, gain := b.Floats("h", []float32{a, -a, a, a}, 1, 4), b.Floats("gain", []float32{1, 1, 2, 0}, 4)
				w, x, y := b.Packed("w", []float32{0, 0, 0, 0}, []float32{1}, 1, 4, false), b.Stale("x", 1, 4), b.Stale("y", 1, 1)
				return Trial[T]{
					Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: y, X: x, W: w}),
					Outputs: []string{"x", "y"},
					Want:    map[string][]float32{"x": {a / 2, -a / 2, a, 0}, "y": {0}},
				}
			},
		},
		Case[T]{ // the norm hardly sees the length of h, so its gradient is orthogonal to h
			Op: "rmsnorm", Name: "backward/orthogonal", Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				const n, D = 5, 36
				h, gain, dx := b.Normal("h", 10, n, D), b.Near("gain", 1, 0.3, D), b.Normal("dx", 10, n, D)
				dh, dgain := b.All("dh", 0, n, D), b.All("dgain", 0, D)
				return Trial[T]{
					Forward: b.program(
						&op.Zero[T]{X: dh},
						&op.RMSNormBackward[T]{DH: dh, DGain: dgain, DX: dx, H: h, Gain: gain},
					),
					Outputs: []string{"dh"},
					Check: func(v Values) error {
						for i := range n {
							sum := 0.0
							for j := range D {
								sum += float64(v("dh")[i*D+j]) * float64(b.Start("h")[i*D+j])
							}
							if math.Abs(sum) > 1e-3 {
								return fmt.Errorf("row %d: Σ dh·h = %v, want around 0", i, sum)
							}
						}
						return nil
					},
				}
			},
		},
		Case[T]{
			Op: "rmsnorm", Name: "refuses/gain", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, w := b.Normal("h", 1, 2, 8), b.Normal("gain", 1, 4), b.Ternary("w", 4, 8, 1, false)
				x, y := b.Stale("x", 2, 8), b.Stale("y", 2, 4)
				return Trial[T]{Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: y, X: x, W: w})}
			},
		},
		Case[T]{
			Op: "rmsnorm", Name: "refuses/backward", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, dx := b.Normal("h", 1, 2, 8), b.Normal("gain", 1, 8), b.Normal("dx", 1, 2, 4)
				dh, dgain := b.Stale("dh", 2, 8), b.Stale("dgain", 8)
				return Trial[T]{Forward: b.program(&op.RMSNormBackward[T]{DH: dh, DGain: dgain, DX: dx, H: h, Gain: gain})}
			},
		},
		large(norm("random", 512, 256, normal(1, 512, 256)), 2*4*512*256),
		large(backward("random", 512, 256, 1), 0),
	)
}

// normEps has an ε of its own, alone and before operations that a backend may fuse with it.
func normEps[T any](eps float64, n, D int, inPlace bool) Case[T] {
	const R = 8
	return Case[T]{
		Op: "rmsnorm", Name: fmt.Sprintf("eps%g/%dx%d/inPlace=%v", eps, n, D, inPlace), Tolerance: summed,
		Make: func(b *Bench[T]) Trial[T] {
			h, gain, w, head := b.Normal("h", 0.1, n, D), b.Near("gain", 0.5, 0.1, D), b.Ternary("w", R, D, 2, true), b.Normal("head", 1, R, D)
			x, y, a, y2, logits := b.Stale("x", n, D), b.Stale("y", n, R), b.Stale("a", n, R/2), b.Stale("y2", n, R), b.Stale("logits", n, R)
			norm := &op.RMSNorm[T]{X: x, H: h, Gain: gain, Eps: eps}
			p := op.Program[T]{
				norm, &op.Linear[T]{Y: y, X: x, W: w}, &op.SwiGLU[T]{A: a, GateUp: y},
				norm, &op.Linear[T]{Y: y2, X: x, W: w},
				norm, &op.Head[T]{Logits: logits, X: x, W: head},
			}
			if inPlace {
				p.Add(&op.RMSNorm[T]{X: x, H: x, Gain: gain, Eps: eps}, &op.Linear[T]{Y: y2, X: x, W: w})
			}
			p.Add(&op.RMSNorm[T]{X: h, H: h, Gain: gain, Eps: eps})
			return Trial[T]{
				Forward: b.program(p...), Outputs: []string{"x", "y", "a", "y2", "logits", "h"},
			}
		},
	}
}

// scaleName names a weight scale.
func scaleName(absmean bool) string {
	if absmean {
		return nn.ScaleAbsmean
	}
	return nn.ScaleNone
}

// beyond has rows whose squares exceed float32. Their results must not be finite: zeros would hide them.
func beyond[T any](n int) Case[T] {
	const D, R = 36, 8
	return Case[T]{
		Op: "rmsnorm", Name: fmt.Sprintf("beyond/%dx%d", n, D), Tolerance: rounded,
		Make: func(b *Bench[T]) Trial[T] {
			rows := make([]float32, n*D)
			for i := range rows {
				rows[i] = 1e19 * float32(i%D)
			}
			h, gain := b.Floats("h", rows, n, D), b.Near("gain", 1, 0.3, D)
			w, head := b.Ternary("w", R, D, 1, false), b.Normal("head", 1, R, D)
			x, y, logits := b.Stale("x", n, D), b.Stale("y", n, R), b.Stale("logits", n, R)
			return Trial[T]{
				Forward: b.program(
					&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: y, X: x, W: w},
					&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Head[T]{Logits: logits, X: x, W: head},
				),
				Check: func(Values) error {
					if _, wide := any(b.Ops).(*cpu.Scalar[float64]); wide {
						return nil
					}
					for name, t := range map[string]T{"y": y, "logits": logits} {
						v := make([]float32, n*R)
						if err := b.Ops.Download(t, 0, v); err != nil {
							return err
						}
						for row := range n {
							if op.FirstNotFinite(v[row*R:(row+1)*R]) < 0 {
								return fmt.Errorf("%s, row %d: got %v, want numbers that are not finite", name, row, v[row*R:(row+1)*R])
							}
						}
					}
					return nil
				},
			}
		},
	}
}
