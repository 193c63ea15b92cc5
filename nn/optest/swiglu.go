package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

func swigluCases[T any]() []Case[T] {
	// The gradient runs through the whole of an MLP's first half: activation, product, norm.
	whole := func(n, D, H int, absmean bool) Case[T] {
		return Case[T]{
			Op: "swiglu", Name: fmt.Sprintf("random/n%d/%dx%d/%s", n, H, D, scaleName(absmean)), Tolerance: summing(D),
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, w := b.Normal("h", 1, n, D), b.Near("gain", 0.3, 0.1, D), b.Ternary("w", 2*H, D, 2, absmean)
				a, gu, x := b.Stale("a", n, H), b.Stale("gu", n, 2*H), b.Stale("x", n, D)
				da, dgu, dx, dw := b.Normal("da", 0.2, n, H), b.Stale("dgu", n, 2*H), b.Stale("dx", n, D), b.All("dw", 0, 2*H, D)
				dh, dgain := b.Normal("dh", 1, n, D), b.Normal("dgain", 1, D)
				return Trial[T]{
					Forward:  b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: gu, X: x, W: w}, &op.SwiGLU[T]{A: a, GateUp: gu}),
					Outputs:  []string{"a", "gu", "x"},
					Upstream: []string{"a"},
					Backward: b.program(
						&op.SwiGLUBackward[T]{DGateUp: dgu, DA: da, GateUp: gu},
						&op.LinearBackward[T]{DX: dx, DW: dw, DY: dgu, X: x, W: w},
						&op.RMSNormBackward[T]{DH: dh, DGain: dgain, DX: dx, H: h, Gain: gain},
					),
					Adds: []string{"h", "gain"},
					Also: []string{"dgu"},
				}
			},
		}
	}
	// With the identity as weights and h all ones, gate and up are the gain itself.
	through := func(name string, tolerance Tolerance, gain, da, want, dwant []float32) Case[T] {
		return Case[T]{
			Op: "swiglu", Name: name, Tolerance: tolerance,
			Make: func(b *Bench[T]) Trial[T] {
				H := len(gain) / 2
				identity := make([]float32, len(gain)*len(gain))
				for i := range gain {
					identity[i*len(gain)+i] = 1
				}
				h, g, w := b.All("h", 1000, 1, 2*H), b.Floats("gain", gain, 2*H), b.Packed("w", identity, []float32{1, 1}, 2*H, 2*H, false)
				a, gu, x := b.Stale("a", 1, H), b.Stale("gu", 1, 2*H), b.Stale("x", 1, 2*H)
				up, dgu := b.Floats("da", da, 1, H), b.Stale("dgu", 1, 2*H)
				t := Trial[T]{
					Forward:  b.program(&op.RMSNorm[T]{X: x, H: h, Gain: g}, &op.Linear[T]{Y: gu, X: x, W: w}, &op.SwiGLU[T]{A: a, GateUp: gu}),
					Outputs:  []string{"a"},
					Backward: b.program(&op.SwiGLUBackward[T]{DGateUp: dgu, DA: up, GateUp: gu}),
					Also:     []string{"dgu"},
					Want:     map[string][]float32{"a": want},
				}
				if dwant != nil {
					t.Want["dgu"] = dwant
				}
				return t
			},
		}
	}
	var cases []Case[T]
	for i, n := range []int{1, 2, 5, 8, 33} {
		cases = append(cases, whole(n, 36, 144, i%2 == 0), whole(n, 4, 16, i%2 == 1))
	}
	sigmoid1 := float32(1 / (1 + math.Exp(-1)))
	return append(cases,
		whole(3, 300, 36, true),
		// As wide as models: see wide in linear.go.
		whole(1, 1084, 39, false), whole(2, 2076, 37, true),
		// dgate = da·up·σ(g)(1 + g(1 − σ(g))), dup = da·g·σ(g)
		through("known", rounded, []float32{0, 1, 5, 2}, []float32{1, 1}, []float32{0, 2 * sigmoid1},
			[]float32{2.5, 2 * sigmoid1 * (2 - sigmoid1), 0, sigmoid1}),
		through("extreme/saturated", summed, []float32{100, -100, 3, 50}, []float32{1, 1}, []float32{300, 0}, []float32{3, 0, 100, 0}),
		through("extreme/zeros", exact, []float32{0, 0, 0, 0}, []float32{1, 1}, []float32{0, 0}, []float32{0, 0, 0, 0}),
		through("extreme/no-gate-gradient", rounded, []float32{2, -2, 0, 0}, []float32{1, 1}, []float32{0, 0}, nil),
		Case[T]{
			Op: "swiglu", Name: "refuses/half", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, w := b.Normal("h", 1, 2, 8), b.Normal("gain", 1, 8), b.Ternary("w", 32, 8, 2, true)
				a, gu, x := b.Stale("a", 2, 32), b.Stale("gu", 2, 32), b.Stale("x", 2, 8)
				return Trial[T]{Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: gu, X: x, W: w}, &op.SwiGLU[T]{A: a, GateUp: gu})}
			},
		},
		Case[T]{
			Op: "swiglu", Name: "refuses/backward", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				dgu, da, gu := b.Stale("dgu", 2, 32), b.Normal("da", 1, 2, 15), b.Normal("gu", 1, 2, 32)
				return Trial[T]{Forward: b.program(&op.SwiGLUBackward[T]{DGateUp: dgu, DA: da, GateUp: gu})}
			},
		},
		large(whole(1, 256, 1024, true), 2048*256/4), large(whole(512, 256, 1024, true), 2048*256/4+512*4*(256+3*1024)),
	)
}
