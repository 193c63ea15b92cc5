package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

// heads are sizes of attention: B sequences of T rows, from a position on in a cache with room for L.
type heads struct {
	B, T, at, L int
	H, G, c     int
	turned      int // R
	beside      int // further numbers of a row of queries, keys and values
	normed      bool
	half        bool // the cache is of float16
	gate        bool
}

func (s heads) String() string {
	format := ""
	if s.half {
		format = "/half"
	}
	return fmt.Sprintf("B%d/T%d/at%d/of%d/%dx%dx%d/turned%d", s.B, s.T, s.at, s.L, s.H, s.G, s.c, s.turned) + format
}

func (s heads) rowWidth() int { return (s.H+2*s.G)*s.c + s.beside }

// positions makes those of n sequences that have read as much.
func (b *Bench[T]) positions(at, n int) T {
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(at)
	}
	return b.IDs("position", ids, n)
}

func ropeCases[T any]() []Case[T] {
	rope := func(s heads) Case[T] {
		return Case[T]{
			Op: "rope", Name: fmt.Sprintf("random/%v/normed=%v", s, s.normed), Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				qkv, position := b.Normal("qkv", 1, s.B*s.T, s.rowWidth()), b.positions(s.at, s.B)
				keys, values := cache(b, "keys", s, 1, 7), cache(b, "values", s, 1, 7)
				angles := make([]float32, s.L*s.turned)
				for t := range s.L {
					for i := range s.turned / 2 {
						sin, cos := math.Sincos(float64(t) * math.Pow(100, -2*float64(i)/float64(s.turned)))
						angles[t*s.turned+i], angles[t*s.turned+s.turned/2+i] = float32(1.1*cos), float32(1.1*sin)
					}
				}
				o := &op.RoPE[T]{
					QKV: qkv, Angles: b.Floats("angles", angles, s.L, s.turned), Position: position, Keys: keys, Values: values,
					Heads: s.H, KVHeads: s.G, Eps: 1e-6,
				}
				if s.normed {
					o.QGain, o.KGain = b.Near("q gain", 1, 0.3, s.c), b.Near("k gain", 1, 0.3, s.c)
				}
				// Rotating twice would rotate further: each run starts from the original rows.
				start := b.Floats("start", b.Start("qkv"), s.B*s.T, s.rowWidth())
				return Trial[T]{
					Forward: b.program(&op.Copy[T]{Dst: qkv, Src: start, N: s.B * s.T * s.rowWidth()}, o),
					Outputs: []string{"qkv", "keys", "values", "position"},
				}
			},
		}
	}
	var cases []Case[T]
	for i, s := range []heads{
		{B: 1, T: 1, at: 0, L: 1, H: 1, G: 1, c: 32, turned: 32},
		{B: 1, T: 1, at: 7, L: 9, H: 4, G: 2, c: 64, turned: 64, beside: 11},
		{B: 3, T: 5, at: 2, L: 7, H: 6, G: 2, c: 36, turned: 36},
		{B: 1, T: 33, at: 10, L: 50, H: 8, G: 1, c: 128, turned: 128},
		{B: 2, T: 3, at: 4, L: 8, H: 3, G: 3, c: 80, turned: 20, beside: 240},
		{B: 2, T: 2, at: 0, L: 2, H: 2, G: 1, c: 256, turned: 64},
		{B: 1, T: 4, at: 1, L: 5, H: 5, G: 1, c: 7, turned: 2},
	} {
		s.normed = i%2 == 1
		cases = append(cases, rope(s))
		s.normed = !s.normed
		cases = append(cases, rope(s))
	}
	half := rope(heads{B: 2, T: 3, at: 4, L: 8, H: 6, G: 2, c: 64, turned: 64, normed: true, half: true})
	half.Tolerance = halfCache
	return append(cases, half,
		Case[T]{ // a quarter turn of the first pair, nothing of the rest
			Op: "rope", Name: "known", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				qkv := b.Floats("qkv", []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 9)
				keys, values := b.All("keys", 0, 1, 2, 3), b.All("values", 0, 1, 2, 3)
				return Trial[T]{
					Forward: b.program(&op.RoPE[T]{
						QKV: qkv, Angles: b.Floats("angles", []float32{5, 5, 0, 1}, 2, 2), Position: b.IDs("position", []uint32{1}, 1),
						Keys: keys, Values: values, Heads: 1, KVHeads: 1,
					}),
					Outputs: []string{"qkv", "keys", "values"},
					Want: map[string][]float32{
						"qkv": {-2, 1, 3, -5, 4, 6, 7, 8, 9}, "keys": {0, 0, 0, -5, 4, 6}, "values": {0, 0, 0, 7, 8, 9},
					},
				}
			},
		},
		Case[T]{
			Op: "rope", Name: "advance", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				position := b.IDs("position", []uint32{7}, 1)
				return Trial[T]{
					Forward: b.program(&op.Advance[T]{Position: position, N: 5}, &op.Advance[T]{Position: position, N: 1}),
					Outputs: []string{"position"}, Want: map[string][]float32{"position": {13}},
				}
			},
		},
		Case[T]{ // norms of nothing
			Op: "rope", Name: "extreme/zeros", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				qkv, keys, values := b.All("qkv", 0, 1, 12), b.All("keys", 7, 1, 1, 4), b.All("values", 7, 1, 1, 4)
				return Trial[T]{
					Forward: b.program(&op.RoPE[T]{
						QKV: qkv, QGain: b.All("q gain", 1e30, 4), KGain: b.All("k gain", 1e30, 4), Angles: b.All("angles", 0.5, 1, 4), Position: b.IDs("position", []uint32{0}, 1),
						Keys: keys, Values: values, Heads: 1, KVHeads: 1, Eps: 1e-6,
					}),
					Outputs: []string{"qkv", "keys", "values"},
					Want:    map[string][]float32{"qkv": make([]float32, 12), "keys": make([]float32, 4), "values": make([]float32, 4)},
				}
			},
		},
		Case[T]{
			Op: "rope", Name: "refuses/cache", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				return Trial[T]{Forward: b.program(&op.RoPE[T]{
					QKV: b.Normal("qkv", 1, 2, 12), Angles: b.Normal("angles", 1, 3, 4), Position: b.IDs("position", []uint32{0}, 1),
					Keys: b.Normal("keys", 1, 1, 3, 4), Values: b.Normal("values", 1, 1, 2, 4), Heads: 1, KVHeads: 1,
				})}
			},
		},
		large(rope(heads{B: 1, T: 1, at: 500, L: 1024, H: 16, G: 4, c: 128, turned: 128, normed: true}), 0),
	)
}
