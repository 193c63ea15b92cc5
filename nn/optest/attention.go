package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

// halfCache allows for numbers kept in float16 that round the other way.
var halfCache = Tolerance{2e-4, 1e-3, "one step of float16"}

// cache makes keys or values (B, L, G·c), filled with one number behind the position.
func cache[T any](b *Bench[T], name string, s heads, std float64, behind float64) T {
	r, values := b.random(name), make([]float32, s.B*s.L*s.G*s.c)
	for i := range values {
		values[i] = float32(std * r.NormFloat64())
		if i/(s.G*s.c)%s.L >= s.at+s.T {
			values[i] = float32(behind)
		}
	}
	if s.half {
		return b.Halves(name, values, s.B, s.L, s.G*s.c)
	}
	return b.Floats(name, values, s.B, s.L, s.G*s.c)
}

func attentionCases[T any]() []Case[T] {
	// What lies behind the position must not be read.
	attention := func(s heads, std float64) Case[T] {
		return Case[T]{
			Op: "attention", Name: fmt.Sprintf("random/%v/gate=%v/std%g", s, s.gate, std), Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				if s.gate {
					s.beside = s.H * s.c
				}
				o := b.Stale("o", s.B*s.T, s.H*s.c)
				return Trial[T]{
					Forward: b.program(&op.Attention[T]{
						O: o, QKV: b.Normal("qkv", std, s.B*s.T, s.rowWidth()), Keys: cache(b, "keys", s, std, math.NaN()), Values: cache(b, "values", s, 1, math.NaN()),
						Position: b.positions(s.at, s.B), Heads: s.H, KVHeads: s.G, Gate: s.gate,
					}),
					Outputs: []string{"o"},
				}
			},
		}
	}
	var cases []Case[T]
	for i, s := range []heads{
		{B: 1, T: 1, at: 0, L: 1, H: 1, G: 1, c: 32},
		{B: 1, T: 1, at: 63, L: 90, H: 4, G: 2, c: 64, beside: 11},
		{B: 1, T: 1, at: 64, L: 90, H: 8, G: 1, c: 128},
		{B: 1, T: 1, at: 300, L: 310, H: 6, G: 2, c: 80},
		{B: 3, T: 5, at: 2, L: 9, H: 6, G: 2, c: 36},
		{B: 1, T: 70, at: 0, L: 70, H: 3, G: 3, c: 64},
		{B: 2, T: 33, at: 130, L: 180, H: 10, G: 2, c: 96},
		{B: 2, T: 2, at: 5, L: 20, H: 4, G: 2, c: 256},
		{B: 1, T: 9, at: 60, L: 69, H: 16, G: 1, c: 48},
		{B: 2, T: 1, at: 700, L: 1100, H: 5, G: 5, c: 32},
		// Long caches, which a backend may divide into parts: nearly empty, full, and with rows that see only the first key of a part.
		{B: 1, T: 1, at: 0, L: 2100, H: 8, G: 2, c: 64},
		{B: 3, T: 1, at: 4600, L: 4700, H: 8, G: 2, c: 36},
		{B: 1, T: 1, at: 1024, L: 1100, H: 16, G: 1, c: 128},
		{B: 2, T: 1, at: 575, L: 600, H: 4, G: 2, c: 80},
	} {
		s.gate = i%2 == 1
		cases = append(cases, attention(s, 1))
		if s.half = i%3 == 1; s.half {
			cases = append(cases, attention(s, 1))
		}
	}
	return append(cases,
		attention(heads{B: 1, T: 4, at: 80, L: 100, H: 2, G: 1, c: 64}, 6), // one key takes nearly all
		Case[T]{ // all keys alike: the mean of the values
			Op: "attention", Name: "known", Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] {
				return Trial[T]{
					Forward: b.program(&op.Attention[T]{
						O: b.Stale("o", 2, 4), QKV: b.All("qkv", 2, 2, 12), Keys: b.All("keys", 3, 1, 3, 4),
						Values:   b.Floats("values", []float32{1, 2, 3, 4, 3, 2, 3, 8, 2, 2, 0, 3}, 1, 3, 4),
						Position: b.IDs("position", []uint32{1}, 1), Heads: 1, KVHeads: 1,
					}),
					Outputs: []string{"o"}, Want: map[string][]float32{"o": {2, 2, 3, 6, 2, 2, 2, 5}},
				}
			},
		},
		Case[T]{ // scores of 2·10⁸, all alike
			Op: "attention", Name: "extreme/large", Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] {
				return Trial[T]{
					Forward: b.program(&op.Attention[T]{
						O: b.Stale("o", 1, 4), QKV: b.All("qkv", 1e4, 1, 12), Keys: b.All("keys", 1e4, 1, 2, 4),
						Values:   b.Floats("values", []float32{1, 2, 3, 4, 3, 2, 3, 8}, 1, 2, 4),
						Position: b.IDs("position", []uint32{1}, 1), Heads: 1, KVHeads: 1,
					}),
					Outputs: []string{"o"}, Want: map[string][]float32{"o": {2, 2, 3, 6}},
				}
			},
		},
		Case[T]{
			Op: "attention", Name: "refuses/gates", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				return Trial[T]{Forward: b.program(&op.Attention[T]{
					O: b.Stale("o", 2, 4), QKV: b.Normal("qkv", 1, 2, 12), Keys: b.Normal("keys", 1, 1, 3, 4), Values: b.Normal("values", 1, 1, 3, 4),
					Position: b.IDs("position", []uint32{0}, 1), Heads: 1, KVHeads: 1, Gate: true,
				})}
			},
		},
		large(attention(heads{B: 1, T: 1, at: 1000, L: 1024, H: 16, G: 4, c: 128}, 1), 2*4*1000*4*128),
		large(attention(heads{B: 1, T: 128, at: 512, L: 1024, H: 16, G: 4, c: 128}, 1), 0),
	)
}
