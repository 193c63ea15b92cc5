package optest

import (
	"fmt"

	"bitgpu/nn/op"
)

func embedCases[T any]() []Case[T] {
	forward := func(format op.Format, V, D, n int) Case[T] {
		return Case[T]{
			Op: "embed", Name: fmt.Sprintf("rows/%v/%dx%d/n%d", format, V, D, n), Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				table, tokens := b.Table("table", format, V, D), b.Tokens("tokens", V, n)
				h := b.Stale("h", n, D)
				return Trial[T]{
					Forward: b.program(&op.Embed[T]{H: h, Table: table, Tokens: tokens}),
					Outputs: []string{"h"},
					Check: func(v Values) error { // by definition
						var rows []float32
						for _, id := range b.Start("tokens") {
							rows = append(rows, b.Start("table")[int(id)*D:(int(id)+1)*D]...)
						}
						return rounded.compare("h", v("h"), rows)
					},
				}
			},
		}
	}
	backward := func(name string, V, D int, tokens []uint32) Case[T] {
		return Case[T]{
			Op: "embed", Name: "backward/" + name, Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				n := len(tokens)
				table, ids := b.Whole("table", 9, V, D), b.IDs("tokens", tokens, n)
				h, dh, dtable := b.Stale("h", n, D), b.Whole("dh", 9, n, D), b.Whole("dtable", 9, V, D)
				return Trial[T]{
					Forward:  b.program(&op.Embed[T]{H: h, Table: table, Tokens: ids}),
					Outputs:  []string{"h"},
					Upstream: []string{"h"},
					Backward: b.program(&op.EmbedBackward[T]{DTable: dtable, DH: dh, Tokens: ids}),
					Adds:     []string{"table"},
				}
			},
		}
	}
	// Rows 1, 0 and 1 of a table of two.
	rows := func(name string, numbers, want []float32) Case[T] {
		return Case[T]{
			Op: "embed", Name: name, Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				table, tokens, h := b.Floats("table", numbers, 2, 4), b.IDs("tokens", []uint32{1, 0, 1}, 3), b.Stale("h", 3, 4)
				return Trial[T]{
					Forward: b.program(&op.Embed[T]{H: h, Table: table, Tokens: tokens}),
					Outputs: []string{"h"},
					Want:    map[string][]float32{"h": want},
				}
			},
		}
	}
	groups := func(V, D, group, n int) Case[T] {
		return Case[T]{
			Op: "embed", Name: fmt.Sprintf("rows/groups%d/%dx%d/n%d", group, V, D, n), Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				table, tokens, h := b.Groups("table", V, D, group), b.Tokens("tokens", V, n), b.Stale("h", n, D)
				return Trial[T]{Forward: b.program(&op.Embed[T]{H: h, Table: table, Tokens: tokens}), Outputs: []string{"h"}}
			},
		}
	}
	i8 := forward(op.I8, 300, 36, 5)
	i8.Tolerance = rounded
	var cases []Case[T]
	for i, format := range []op.Format{op.Q8_0, op.Q4_0, op.Q4_K, op.Q6_K} {
		k, _ := format.Quants()
		for _, c := range []Case[T]{forward(format, 7, k.Span(), 1), forward(format, 300, (3+i)*k.Span(), 9)} {
			c.Tolerance = rounded
			cases = append(cases, c)
		}
	}
	return append(cases, []Case[T]{
		forward(op.F32, 7, 4, 1), forward(op.F32, 300, 36, 33), forward(op.F32, 1, 300, 2),
		forward(op.F16, 7, 4, 1), forward(op.F16, 300, 36, 8), i8,
		forward(op.BF16, 7, 4, 1), forward(op.BF16, 300, 36, 8), forward(op.Ternary, 7, 4, 2), forward(op.Ternary, 300, 100, 9),
		groups(7, 32, 32, 1), groups(300, 96, 32, 9), groups(77, 256, 128, 5), groups(31, 192, 64, 33),
		backward("distinct", 9, 36, []uint32{8, 0, 3}),
		backward("extreme/one-token-often", 3, 36, make([]uint32, 300)),
		backward("mixed", 5, 4, []uint32{4, 1, 4, 4, 0, 1, 2, 2, 4}),
		rows("known", []float32{1, 2, 3, 4, 5, 6, 7, 8}, []float32{5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}),
		rows("extreme/numbers", []float32{0, 0, 0, 0, 1e30, -1e-30, 0, 8}, []float32{1e30, -1e-30, 0, 8, 0, 0, 0, 0, 1e30, -1e-30, 0, 8}),
		{
			Op: "embed", Name: "refuses/width", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				table, tokens, h := b.Table("table", op.F32, 5, 8), b.Tokens("tokens", 5, 2), b.Stale("h", 2, 4)
				return Trial[T]{Forward: b.program(&op.Embed[T]{H: h, Table: table, Tokens: tokens})}
			},
		},
		{
			Op: "embed", Name: "refuses/backward-rows", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				dtable, tokens, dh := b.All("dtable", 0, 5, 8), b.Tokens("tokens", 5, 3), b.Normal("dh", 1, 2, 8)
				return Trial[T]{Forward: b.program(&op.EmbedBackward[T]{DTable: dtable, DH: dh, Tokens: tokens})}
			},
		},
		large(forward(op.F16, 16384, 256, 512), 512*256*(2+4)),
	}...)
}

// large marks a case for Benchmark, with the bytes that its forward must access.
func large[T any](c Case[T], bytes int) Case[T] {
	c.Large = true
	whole := c.Make
	c.Make = func(b *Bench[T]) Trial[T] {
		t := whole(b)
		t.Bytes = int64(bytes)
		return t
	}
	return c
}
