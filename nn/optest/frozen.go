package optest

import (
	"fmt"

	"github.com/x448/float16"

	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// frozenCases returns the cases for training adapters: the backward of every layer of the public families, with weights that do not
// change. A backend that lacks an operation does not run its cases.
func frozenCases[T any]() []Case[T] {
	var all []Case[T]
	for _, n := range []int{1, 3, 40} {
		all = append(all, lowRankCase[T](n, 20), lowRankCase[T](n, 260))
	}
	all = append(all, lowRankZero[T](), lowRankRefused[T](), lowRankInside[T](3, 36, true), lowRankInside[T](40, 260, false), lowRankInside[T](41, 64, true))
	for _, w := range []string{"groups", "rows", "absmean", "none", "F32", "F16", "I8", "Q8_0", "Q4_0", "Q4_K", "Q6_K"} {
		all = append(all, inputCase[T](w, 3), inputCase[T](w, 41))
	}
	all = append(all, squaredCase[T](), epsilonCase[T](), hadamardCase[T](), ropeCase[T]())
	for _, c := range []attentionCase{
		{B: 2, time: 5, heads: 4, kv: 2, c: 8, turned: 8}, {B: 1, time: 70, heads: 2, kv: 1, c: 8, turned: 4, gate: true, norms: true},
		{B: 2, time: 3, heads: 2, kv: 2, c: 12, turned: 4, norms: true}, {B: 1, time: 1, heads: 3, kv: 1, c: 4, turned: 4, gate: true},
		{B: 1, time: 37, heads: 8, kv: 1, c: 32, turned: 32}, {B: 2, time: 33, heads: 3, kv: 3, c: 64, turned: 64, norms: true},
		{B: 1, time: 40, heads: 6, kv: 2, c: 36, turned: 20, gate: true, norms: true}, {B: 2, time: 31, heads: 5, kv: 1, c: 96, turned: 96},
		{B: 1, time: 65, heads: 4, kv: 2, c: 128, turned: 128, norms: true}, {B: 1, time: 34, heads: 7, kv: 1, c: 256, turned: 64, gate: true},
	} {
		all = append(all, attentionOf[T](c))
	}
	for _, c := range []gatedSizes{
		{B: 1, time: 7, chunk: 3, K: 1, V: 2, k: 8, v: 5, taps: 4}, {B: 2, time: 9, chunk: 4, K: 2, V: 2, k: 8, v: 5, taps: 4},
		{B: 1, time: 33, chunk: 16, K: 2, V: 6, k: 8, v: 5, taps: 4, all: true}, {B: 1, time: 2, chunk: 16, K: 1, V: 1, k: 4, v: 3, taps: 4},
		{B: 2, time: 45, chunk: 40, K: 1, V: 2, k: 12, v: 20, taps: 2, all: true}, {B: 1, time: 50, chunk: 16, K: 2, V: 4, k: 36, v: 33, taps: 6, all: true},
		{B: 1, time: 40, chunk: 16, K: 1, V: 3, k: 128, v: 128, taps: 4, all: true}, {B: 1, time: 18, chunk: 16, K: 1, V: 1, k: 256, v: 9, taps: 4},
	} {
		all = append(all, gatedCase[T](c))
	}
	return all
}

// gatedSizes holds the sizes of a gated delta rule: K heads of keys of width k, V of values of width v.
type gatedSizes struct {
	B, time, chunk, K, V, k, v, taps int
	all                              bool // gradients of gain, convolution, bias and decay, too
}

// allCases returns all cases, including those that a backend may lack.
func allCases[T any]() []Case[T] {
	return append(append(Cases[T](), frozenCases[T]()...), mastersCases[T]()...)
}

// Scaled makes a ternary matrix with a scale per group of inputs or, if group is 0, per row.
func (b *Bench[T]) Scaled(name string, rows, cols, group int) T {
	r, w := b.random(name), make([]float32, rows*cols)
	for i := range w {
		w[i] = float32(r.IntN(3) - 1)
	}
	h := op.HostTensor{Format: op.Ternary, Shape: []int{rows, cols}, Codes: make([]byte, rows*ternary.RowBytes(cols)), Group: group}
	ternary.Quantize(h.Codes, w, rows, cols, 1)
	if h.Absmean = group == 0; h.Absmean {
		for range rows {
			h.Scales = append(h.Scales, 0.5+r.Float32())
		}
	} else {
		for range rows * cols / group {
			h.GroupScales = append(h.GroupScales, float16.Fromfloat32(0.5+r.Float32()).Bits())
		}
	}
	return b.keep(name, tensor[T]{b.Ops.Load(h), op.Ternary, h.Shape, nil})
}

// inputCase computes only the gradient of a product's input, for weights of every kind.
func inputCase[T any](kind string, n int) Case[T] {
	const R = 270
	format, table := map[string]op.Format{
		"F32": op.F32, "F16": op.F16, "I8": op.I8, "Q8_0": op.Q8_0, "Q4_0": op.Q4_0, "Q4_K": op.Q4_K, "Q6_K": op.Q6_K,
	}[kind]
	K := 64
	if k, ok := format.Quants(); ok {
		K = max(K, k.Span())
	}
	return Case[T]{
		Op: "frozen", Name: fmt.Sprintf("%s/n%d", kind, n), Tolerance: summing(R), Needs: []op.Op[T]{&op.LowRankBackward[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			x, y, dx, dy := b.Normal("x", 1, n, K), b.Stale("y", n, R), b.Stale("dx", n, K), b.Normal("dy", 0.2, n, R)
			var w T
			t := Trial[T]{Outputs: []string{"y"}, Upstream: []string{"y"}, Writes: []string{"x"}}
			switch {
			case table:
				w = b.Table("w", format, R, K)
				t.Forward = b.program(&op.Head[T]{Logits: y, X: x, W: w})
				t.Backward = b.program(&op.HeadBackward[T]{DX: dx, DLogits: dy, X: x, W: w})
				return t
			case kind == "groups":
				w = b.Scaled("w", R, K, 32)
			case kind == "rows":
				w = b.Scaled("w", R, K, 0)
			default:
				w = b.Ternary("w", R, K, 2, kind == "absmean")
			}
			t.Forward, t.Backward = b.program(&op.Linear[T]{Y: y, X: x, W: w}), b.program(&op.LinearBackward[T]{DX: dx, DY: dy, X: x, W: w})
			return t
		},
	}
}

func squaredCase[T any]() Case[T] {
	return Case[T]{
		Op: "squaredrelu", Name: "random", Tolerance: rounded, Needs: []op.Op[T]{&op.SquaredReLUBackward[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			gu, a, dgu, da := b.Normal("gu", 1, 7, 48), b.Stale("a", 7, 24), b.Stale("dgu", 7, 48), b.Normal("da", 1, 7, 24)
			return Trial[T]{
				Forward: b.program(&op.SquaredReLU[T]{A: a, GateUp: gu}), Outputs: []string{"a"}, Upstream: []string{"a"},
				Backward: b.program(&op.SquaredReLUBackward[T]{DGateUp: dgu, DA: da, GateUp: gu}), Writes: []string{"gu"},
			}
		},
	}
}

func epsilonCase[T any]() Case[T] {
	return Case[T]{
		Op: "frozen", Name: "norm", Tolerance: summed, Needs: []op.Op[T]{&op.LowRankBackward[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			h, x, gain, dh, dx := b.Normal("h", 0.1, 70, 24), b.Stale("x", 70, 24), b.Near("gain", 1, 0.3, 24), b.Normal("dh", 1, 70, 24), b.Normal("dx", 1, 70, 24)
			kept := b.Stale("kept", 70, 24)
			return Trial[T]{
				Forward: b.program(&op.Copy[T]{Dst: x, Src: h, N: 70 * 24}, &op.RMSNorm[T]{X: x, H: x, Kept: kept, Gain: gain, Eps: 0.01}),
				Outputs: []string{"x", "kept"}, Upstream: []string{"x"},
				Backward: b.program(&op.RMSNormBackward[T]{DH: dh, DX: dx, H: kept, Gain: gain, Eps: 0.01}), Adds: []string{"h"},
			}
		},
	}
}

func hadamardCase[T any]() Case[T] {
	return Case[T]{
		Op: "hadamard", Name: "frozen", Tolerance: summed, Needs: []op.Op[T]{&op.Hadamard[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			x, y, signs, dx, dy := b.Normal("x", 1, 3, 48), b.Stale("y", 3, 48), b.Floats("signs", b.signs(48), 48), b.Stale("dx", 3, 48), b.Normal("dy", 1, 3, 48)
			return Trial[T]{
				Forward: b.program(&op.Hadamard[T]{Y: y, X: x, Signs: signs, Block: 16}), Outputs: []string{"y"}, Upstream: []string{"y"},
				Backward: b.program(&op.Hadamard[T]{Y: dx, X: dy, Signs: signs, Block: 16, Inverse: true}), Writes: []string{"x"},
			}
		},
	}
}

func (b *Bench[T]) signs(n int) []float32 {
	r, s := b.random("signs"), make([]float32, n)
	for i := range s {
		s[i] = float32(1 - 2*r.IntN(2))
	}
	return s
}

// ropeCase is RoPE by itself, with the gradients of the gains, and that of values passing through.
func ropeCase[T any]() Case[T] {
	return Case[T]{
		Op: "rope", Name: "frozen", Tolerance: summed, Needs: []op.Op[T]{&op.RoPEBackward[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			const n, heads, kv, c, wide = 6, 3, 1, 8, (3 + 2) * 8
			qkv, rows, dqkv, drows := b.Normal("qkv", 1, n, wide), b.Stale("rows", n, wide), b.Stale("dqkv", n, wide), b.Normal("drows", 1, n, wide)
			keys, values, raw := b.Stale("keys", 2, 4, kv*c), b.Stale("values", 2, 4, kv*c), b.Stale("raw", n, (heads+kv)*c)
			angles, position := b.Normal("angles", 1, 4, 6), b.positions(0, 2)
			qgain, kgain := b.Near("qgain", 1, 0.3, c), b.Near("kgain", 1, 0.3, c)
			dqgain, dkgain := b.Normal("dqgain", 1, c), b.Normal("dkgain", 1, c)
			return Trial[T]{
				Forward: b.program(&op.Copy[T]{Dst: rows, Src: qkv, N: n * wide}, &op.RoPE[T]{
					QKV: rows, QGain: qgain, KGain: kgain, Angles: angles, Position: position, Keys: keys, Values: values, Raw: raw, Heads: heads, KVHeads: kv, Eps: 1e-3,
				}),
				Outputs: []string{"rows", "raw"}, Upstream: []string{"rows"},
				Backward: b.program(&op.Copy[T]{Dst: dqkv, Src: drows, N: n * wide}, &op.RoPEBackward[T]{
					DQKV: dqkv, DQGain: dqgain, DKGain: dkgain, Raw: raw, QGain: qgain, KGain: kgain, Angles: angles, Position: position, Keys: keys, Heads: heads, KVHeads: kv, Eps: 1e-3,
				}),
				Writes: []string{"qkv"}, Adds: []string{"qgain", "kgain"},
			}
		},
	}
}

type attentionCase struct {
	B, time, heads, kv, c, turned int
	gate, norms                   bool
}

// attentionOf is RoPE and Attention over sequences from an empty cache.
func attentionOf[T any](s attentionCase) Case[T] {
	return Case[T]{
		Op: "attention", Name: fmt.Sprintf("random/%+v", s), Tolerance: scanned, Needs: []op.Op[T]{&op.AttentionBackward[T]{}, &op.RoPEBackward[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			n, L, wide, inner := s.B*s.time, s.time+2, (s.heads+2*s.kv)*s.c, s.heads*s.c
			if s.gate {
				wide += inner
			}
			qkv, rows, dqkv := b.Normal("qkv", 1, n, wide), b.Stale("rows", n, wide), b.Stale("dqkv", n, wide)
			keys, values := b.Stale("keys", s.B, L, s.kv*s.c), b.Stale("values", s.B, L, s.kv*s.c)
			angles, position := b.Normal("angles", 1, L, s.turned), b.positions(0, s.B)
			o, do := b.Stale("o", n, inner), b.Normal("do", 1, n, inner)
			var qgain, kgain, raw T
			if s.norms {
				qgain, kgain, raw = b.Near("qgain", 1, 0.3, s.c), b.Near("kgain", 1, 0.3, s.c), b.Stale("raw", n, (s.heads+s.kv)*s.c)
			}
			return Trial[T]{
				Forward: b.program(
					&op.Copy[T]{Dst: rows, Src: qkv, N: n * wide},
					&op.RoPE[T]{QKV: rows, QGain: qgain, KGain: kgain, Angles: angles, Position: position, Keys: keys, Values: values, Raw: raw, Heads: s.heads, KVHeads: s.kv, Eps: 1e-3},
					&op.Attention[T]{O: o, QKV: rows, Keys: keys, Values: values, Position: position, Heads: s.heads, KVHeads: s.kv, Gate: s.gate},
				),
				Outputs: []string{"o", "rows"}, Upstream: []string{"o"},
				Backward: b.program(
					&op.AttentionBackward[T]{DQKV: dqkv, DO: do, QKV: rows, Keys: keys, Heads: s.heads, KVHeads: s.kv, Gate: s.gate},
					&op.RoPEBackward[T]{DQKV: dqkv, Raw: raw, QGain: qgain, KGain: kgain, Angles: angles, Position: position, Keys: keys, Heads: s.heads, KVHeads: s.kv, Eps: 1e-3},
				),
				Writes: []string{"qkv"},
			}
		},
	}
}

// gatedCase is the gated delta rule over sequences from an empty memory.
func gatedCase[T any](s gatedSizes) Case[T] {
	B, time, chunk, keyHeads, heads, k, v, taps := s.B, s.time, s.chunk, s.K, s.V, s.k, s.v, s.taps
	return Case[T]{
		Op: "gateddelta", Name: fmt.Sprintf("random/%+v", s), Tolerance: scanned, Needs: []op.Op[T]{&op.GatedDeltaBackward[T]{}},
		Make: func(b *Bench[T]) Trial[T] {
			n, channels, inner := B*time, 2*keyHeads*k+heads*v, heads*v
			u, bs, as := b.Normal("u", 1, n, channels+inner), b.Normal("b", 1, n, heads), b.Normal("a", 1, n, heads)
			conv, decay, bias, gain := b.Normal("conv", 0.6, channels, taps), b.Between("decay", -2, -0.1, heads), b.Normal("bias", 1, heads), b.Near("gain", 1, 0.3, v)
			state, tail, qkv := b.Stale("state", B, heads, v, k), b.Stale("tail", B, taps-1, channels), b.Stale("qkv", n, channels)
			starts, o, do := b.Stale("starts", B, op.Chunks(n, B, chunk), heads, v, k), b.Stale("o", n, inner), b.Normal("do", 1, n, inner)
			du, db, da := b.Stale("du", n, channels+inner), b.Stale("db", n, heads), b.Stale("da", n, heads)
			var dgain, dconv, dbias, dlog T
			var adds, logs []string
			if s.all {
				dgain, dconv, dbias = b.Normal("dgain", 1, v), b.Normal("dconv", 1, channels, taps), b.Normal("dbias", 1, heads)
				dlog = b.Normal("ddecay", 1, heads)
				adds, logs = []string{"gain", "conv", "bias"}, []string{"decay"}
			}
			return Trial[T]{
				Forward: b.program(&op.Zero[T]{X: state}, &op.Zero[T]{X: tail}, &op.GatedDelta[T]{
					O: o, U: u, B: bs, A: as, Conv: conv, Decay: decay, Bias: bias, Gain: gain, State: state, Tail: tail, QKV: qkv, Starts: starts,
					KeyHeads: keyHeads, Chunk: chunk, Eps: 1e-3,
				}),
				Outputs: []string{"o", "qkv", "starts"}, Upstream: []string{"o"},
				Backward: b.program(&op.GatedDeltaBackward[T]{
					DU: du, DB: db, DA: da, DGain: dgain, DConv: dconv, DBias: dbias, DLogDecay: dlog, DO: do, U: u, B: bs, A: as, Conv: conv, Decay: decay, Bias: bias, Gain: gain, QKV: qkv, Starts: starts,
					KeyHeads: keyHeads, Chunk: chunk, Eps: 1e-3,
				}),
				Writes: []string{"u", "b", "a"}, Adds: adds, AddsLog: logs,
			}
		},
	}
}
