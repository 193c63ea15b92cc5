package optest

import (
	"fmt"

	"bitgpu/nn/op"
)

func gatedDeltaCases[T any]() []Case[T] {
	gated := func(B, time, K, V, k, v, taps int) Case[T] {
		return Case[T]{
			Op: "gateddelta", Name: fmt.Sprintf("random/B%d/T%d/%dx%d/%dx%d/taps%d", B, time, K, k, V, v, taps), Tolerance: scanned,
			Make: func(b *Bench[T]) Trial[T] {
				n, channels := B*time, 2*K*k+V*v
				state, tail := b.Normal("state", 0.3, B, V, v, k), b.Normal("tail", 1, B, taps-1, channels)
				o := &op.GatedDelta[T]{
					O: b.Stale("o", n, V*v), U: b.Normal("u", 1, n, channels+V*v), B: b.Normal("b", 2, n, V), A: b.Normal("a", 2, n, V),
					Conv: b.Normal("conv", 0.5, channels, taps), Decay: b.Between("decay", -3, -0.01, V), Bias: b.Normal("bias", 1, V),
					Gain: b.Near("gain", 1, 0.2, v), State: state, Tail: tail, QKV: b.Stale("qkv", n, channels), KeyHeads: K, Eps: 1e-6,
				}
				return Trial[T]{Forward: b.program(o), Outputs: []string{"o", "state", "tail", "qkv"}}
			},
		}
	}
	return []Case[T]{
		gated(1, 1, 1, 1, 4, 4, 4), gated(1, 1, 2, 4, 32, 32, 4), gated(2, 1, 2, 6, 64, 40, 4), gated(1, 2, 2, 2, 128, 128, 4),
		gated(3, 7, 1, 3, 36, 20, 4), gated(1, 70, 2, 4, 16, 12, 4), gated(2, 33, 2, 4, 100, 7, 2), gated(1, 3, 1, 1, 256, 9, 7),
		gated(1, 5, 1, 2, 32, 64, 6),
		{ // no decay, a step of 1 and a unit key: the value is remembered as it is
			Op: "gateddelta", Name: "known", Tolerance: Tolerance{1e-4, 1e-4, "exp and the ε beside lengths"},
			Make: func(b *Bench[T]) Trial[T] {
				const k, v = 4, 2
				// SiLU leaves large numbers as they are; the queries' 1/√k is one half.
				u := b.Floats("u", []float32{100, 0, 0, 0, 100, 0, 0, 0, 30, 40, 100, 100}, 1, 2*k+2*v)
				conv := make([]float32, (2*k+v)*2)
				for ch := range 2*k + v {
					conv[ch*2+1] = 1
				}
				return Trial[T]{
					Forward: b.program(&op.GatedDelta[T]{
						O: b.Stale("o", 1, v), U: u, B: b.All("b", 50, 1, 1), A: b.All("a", 0, 1, 1), Conv: b.Floats("conv", conv, 2*k+v, 2),
						Decay: b.All("decay", 0, 1), Bias: b.All("bias", 0, 1), Gain: b.All("gain", 1, v), State: b.Normal("state", 1, 1, 1, v, k),
						Tail: b.Normal("tail", 1, 1, 1, 2*k+v), QKV: b.Stale("qkv", 1, 2*k+v), KeyHeads: 1, Eps: 1e-6,
					}),
					Outputs: []string{"o", "state", "tail"},
					Check: func(got Values) error {
						start := b.Start("state")
						want := []float32{30, start[1], start[2], start[3], 40, start[5], start[6], start[7]}
						if err := rounded.compare("state", got("state"), want); err != nil {
							return err
						}
						const rms = 35.35534 // of 30 and 40
						return Tolerance{1e-3, 1e-4, "exp"}.compare("o", got("o"), []float32{100 * 30 / rms, 100 * 40 / rms})
					},
				}
			},
		},
		{ // nothing is read: the state decays, and is not asked
			Op: "gateddelta", Name: "extreme/zeros", Tolerance: scanned,
			Make: func(b *Bench[T]) Trial[T] {
				const k, v, n = 4, 4, 3
				return Trial[T]{
					Forward: b.program(&op.GatedDelta[T]{
						O: b.Stale("o", n, v), U: b.All("u", 0, n, 2*k+2*v), B: b.All("b", 50, n, 1), A: b.All("a", 1, n, 1), Conv: b.Normal("conv", 1, 2*k+v, 4),
						Decay: b.All("decay", -1, 1), Bias: b.All("bias", 0, 1), Gain: b.All("gain", 1, v), State: b.Normal("state", 1, 1, 1, v, k),
						Tail: b.All("tail", 0, 1, 3, 2*k+v), QKV: b.Stale("qkv", n, 2*k+v), KeyHeads: 1, Eps: 1e-6,
					}),
					Outputs: []string{"o", "state", "tail", "qkv"},
					Check: func(got Values) error {
						return exact.compare("o", got("o"), make([]float32, n*v))
					},
				}
			},
		},
		{
			Op: "gateddelta", Name: "refuses/tail", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				return Trial[T]{Forward: b.program(&op.GatedDelta[T]{
					O: b.Stale("o", 1, 4), U: b.Normal("u", 1, 1, 16), B: b.All("b", 1, 1, 1), A: b.All("a", 0, 1, 1), Conv: b.Normal("conv", 1, 12, 4),
					Decay: b.All("decay", 0, 1), Bias: b.All("bias", 0, 1), Gain: b.All("gain", 1, 4), State: b.Normal("state", 1, 1, 1, 4, 4),
					Tail: b.Normal("tail", 1, 1, 2, 12), QKV: b.Stale("qkv", 1, 12), KeyHeads: 1,
				})}
			},
		},
		large(gated(1, 1, 16, 32, 128, 128, 4), 2*4*32*128*128), large(gated(1, 128, 16, 32, 128, 128, 4), 2*4*32*128*128),
	}
}
