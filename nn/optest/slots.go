package optest

import (
	"fmt"

	"bitgpu/nn/op"
)

// Operations on sequences in some of the slots: each continues with the states of its own slot, and the states of other slots do not
// change.

// inSlots are two sequences of T rows in slots of four.
var inSlots = []uint32{2, 0}

const allSlots = 4

func slotCases[T any]() []Case[T] {
	var cases []Case[T]
	for _, time := range []int{1, 2, 20} {
		cases = append(cases, tiedInSlots[T](time, false), deltaInSlots[T](time), gatedInSlots[T](time), attendingInSlots[T](time, false), attendingInSlots[T](time, true))
	}
	return append(cases, tiedInSlots[T](40, true))
}

func tiedInSlots[T any](time int, minibatch bool) Case[T] {
	return Case[T]{
		Op: "tiedscan", Name: fmt.Sprintf("slots/T%d/minibatch=%v", time, minibatch), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			n, d := len(inSlots)*time, 12
			return Trial[T]{
				Forward: b.program(&op.TiedScan[T]{
					Z: b.Stale("z", n, d), F: b.Normal("f", 1, n, d), State: b.Normal("state", 0.3, allSlots, 1, d, d),
					Slots: b.IDs("slots", inSlots, len(inSlots)), Scan: op.Scan{Chunk: 16, Rate: 0.1, Minibatch: minibatch},
				}),
				Outputs: []string{"z", "state"},
			}
		},
	}
}

// deltaInSlots also computes the step sizes, which some backends fuse with the scan.
func deltaInSlots[T any](time int) Case[T] {
	return Case[T]{
		Op: "deltascan", Name: fmt.Sprintf("slots/T%d", time), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			const h, c, D = 3, 8, 20
			n, d := len(inSlots)*time, h*c
			beta := b.Stale("beta", n, h)
			return Trial[T]{
				Forward: b.program(
					&op.StepSize[T]{Beta: beta, X: b.Normal("x", 1, n, D), W: b.Normal("w", 0.2, h, D), Bias: b.Normal("bias", 1, h)},
					&op.DeltaScan[T]{
						O: b.Stale("o", n, d), U: b.Normal("u", 1, n, 3*d), Beta: beta, Conv: b.Normal("conv", 0.5, 3, d, op.ConvTaps),
						Gain: b.Near("gain", 1, 0.3, c), State: b.Normal("state", 0.3, allSlots, h, c, c), Tail: b.Normal("tail", 1, allSlots, 3, op.ConvTail, d),
						KQV: b.Stale("kqv", n, 3*d), Answers: b.Stale("answers", n, d), Slots: b.IDs("slots", inSlots, len(inSlots)), Chunk: 16,
					},
				),
				Outputs: []string{"o", "state", "tail", "kqv", "answers"},
			}
		},
	}
}

func gatedInSlots[T any](time int) Case[T] {
	return Case[T]{
		Op: "gateddelta", Name: fmt.Sprintf("slots/T%d", time), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			const K, V, k, v, taps = 2, 4, 16, 12, 4
			n, channels := len(inSlots)*time, 2*K*k+V*v
			return Trial[T]{
				Forward: b.program(&op.GatedDelta[T]{
					O: b.Stale("o", n, V*v), U: b.Normal("u", 1, n, channels+V*v), B: b.Normal("b", 2, n, V), A: b.Normal("a", 2, n, V),
					Conv: b.Normal("conv", 0.5, channels, taps), Decay: b.Between("decay", -3, -0.01, V), Bias: b.Normal("bias", 1, V),
					Gain: b.Near("gain", 1, 0.2, v), State: b.Normal("state", 0.3, allSlots, V, v, k), Tail: b.Normal("tail", 1, allSlots, taps-1, channels),
					QKV: b.Stale("qkv", n, channels), Slots: b.IDs("slots", inSlots, len(inSlots)), KeyHeads: K, Eps: 1e-6,
				}),
				Outputs: []string{"o", "state", "tail", "qkv"},
			}
		},
	}
}

// attendingInSlots is RoPE, Attention and Advance for sequences at different positions.
func attendingInSlots[T any](time int, half bool) Case[T] {
	tolerance := summed
	if half {
		tolerance = halfCache
	}
	return Case[T]{
		Op: "attention", Name: fmt.Sprintf("slots/T%d/half=%v", time, half), Tolerance: tolerance,
		Make: func(b *Bench[T]) Trial[T] {
			const H, G, c = 4, 2, 32
			L, read := 100, []uint32{3, 50, 70, 99}
			if time == 1 { // long enough for a backend to take keys in parts
				L, read = 600, []uint32{3, 250, 300, 599}
			}
			n, wide := len(inSlots)*time, (H+2*G)*c
			room := func(name string) T {
				s := heads{B: allSlots, T: 0, at: L, L: L, G: G, c: c, half: half}
				return cache(b, name, s, 1, 0)
			}
			qkv, position, slots := b.Normal("qkv", 1, n, wide), b.IDs("position", read, allSlots), b.IDs("slots", inSlots, len(inSlots))
			keys, values := room("keys"), room("values")
			return Trial[T]{
				Forward: b.program(
					&op.RoPE[T]{
						QKV: qkv, QGain: b.Near("q gain", 1, 0.3, c), Angles: b.Normal("angles", 1, L, c), Position: position, Keys: keys, Values: values, Slots: slots,
						Heads: H, KVHeads: G, Eps: 1e-6,
					},
					&op.Attention[T]{O: b.Stale("o", n, H*c), QKV: qkv, Keys: keys, Values: values, Position: position, Slots: slots, Heads: H, KVHeads: G},
					&op.Advance[T]{Position: position, Slots: slots, N: time},
				),
				Outputs: []string{"qkv", "keys", "values", "o", "position"},
			}
		},
	}
}
