package optest

import (
	"fmt"

	"bitgpu/nn/op"
)

func headCases[T any]() []Case[T] {
	// Rows from… of n, m of them.
	head := func(format op.Format, V, D, n, from, m int) Case[T] {
		return Case[T]{
			Op: "head", Name: fmt.Sprintf("random/%v/%dx%d/n%d/from%d+%d", format, V, D, n, from, m), Tolerance: summing(D),
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, table := b.Normal("h", 1, n, D), b.Near("gain", 0.5, 0.2, D), b.Table("table", format, V, D)
				x, logits := b.Stale("x", n, D), b.Stale("logits", m, V)
				t := Trial[T]{
					Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain, From: from, Count: m}, &op.Head[T]{Logits: logits, X: x, W: table, From: from}),
					Outputs: []string{"x", "logits"},
				}
				if format == op.F32 { // the head is trained in float32
					dlogits, dtable := b.Normal("dlogits", 0.1, m, V), b.Normal("dtable", 1, V, D)
					dx, dh, dgain := b.All("dx", 0, n, D), b.Normal("dh", 1, n, D), b.Normal("dgain", 1, D)
					t.Upstream = []string{"logits"}
					t.Backward = b.program(
						&op.HeadBackward[T]{DX: dx, DW: dtable, DLogits: dlogits, X: x, W: table, From: from},
						&op.RMSNormBackward[T]{DH: dh, DGain: dgain, DX: dx, H: h, Gain: gain},
					)
					t.Adds, t.Also = []string{"h", "gain", "table"}, []string{"dx"}
				}
				return t
			},
		}
	}
	// A few whole numbers, with a norm that leaves them as they are.
	known := func(name string, make func(b *Bench[T]) T, want []float32) Case[T] {
		return Case[T]{
			Op: "head", Name: "known/" + name, Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, table := b.All("h", 1000, 2, 4), b.Floats("gain", []float32{1, 2, 3, 4}, 4), make(b)
				x, logits := b.Stale("x", 2, 4), b.Stale("logits", 1, len(want))
				return Trial[T]{
					Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain, From: 1, Count: 1}, &op.Head[T]{Logits: logits, X: x, W: table, From: 1}),
					Outputs: []string{"logits"},
					Want:    map[string][]float32{"logits": want},
				}
			},
		}
	}
	loaded := func(h op.HostTensor) func(b *Bench[T]) T {
		return func(b *Bench[T]) T { return b.keep("table", tensor[T]{b.Ops.Load(h), h.Format, h.Shape, nil}) }
	}
	rows := []int{2, 4}
	groups := func(V, D, group, n, from, m int) Case[T] {
		return Case[T]{
			Op: "head", Name: fmt.Sprintf("random/groups%d/%dx%d/n%d/from%d+%d", group, V, D, n, from, m), Tolerance: summing(D),
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, table := b.Normal("h", 1, n, D), b.Near("gain", 0.5, 0.2, D), b.Groups("table", V, D, group)
				x, logits := b.Stale("x", n, D), b.Stale("logits", m, V)
				return Trial[T]{
					Forward: b.program(
						&op.RMSNorm[T]{X: x, H: h, Gain: gain, From: from, Count: m, Eps: 1e-6}, &op.Head[T]{Logits: logits, X: x, W: table, From: from},
					),
					Outputs: []string{"x", "logits"},
				}
			},
		}
	}
	var cases []Case[T]
	for _, n := range []int{1, 2, 5, 8, 33} {
		cases = append(cases, head(op.F32, 300, 36, n, 0, n), head(op.F16, 75, 36, n, 0, n), head(op.I8, 75, 36, n, 0, n),
			head(op.BF16, 75, 36, n, 0, n), head(op.Ternary, 75, 100, n, 0, n), groups(75, 96, 32, n, 0, n), groups(37, 256, 128, n, 0, n))
	}
	// Rows that end in half a tile of activations, and in the middle of a word of scales; a few rows and many.
	for i, n := range []int{1, 2, 5, 8, 33, 70} {
		cases = append(cases, head(op.Q8_0, 75, 96, n, 0, n), head(op.Q4_0, 37, 160+32*i, n, 0, n), head(op.Q4_K, 41, 512, n, 0, n), head(op.Q6_K, 75, 256*(1+i%2), n, 0, n))
	}
	return append(cases,
		head(op.Q8_0, 37, 1056, 2, 1, 1), head(op.Q4_0, 9, 1056, 3, 2, 1), head(op.Q4_K, 301, 2304, 3, 1, 2), head(op.Q6_K, 301, 1280, 33, 32, 1), head(op.Q6_K, 270, 2304, 40, 0, 40),
		head(op.F32, 1, 4, 1, 0, 1), head(op.F32, 144, 300, 2, 1, 1), head(op.F32, 75, 36, 33, 32, 1), head(op.F32, 75, 36, 33, 7, 9),
		head(op.F16, 300, 36, 33, 32, 1), head(op.F16, 9, 300, 3, 2, 1), head(op.I8, 300, 36, 33, 32, 1), head(op.I8, 7, 4, 3, 1, 2),
		// As wide as models: more activations than are read at a time, and enough blocks for the largest team.
		head(op.F32, 37, 1036, 2, 1, 1), head(op.F16, 75, 1068, 2, 0, 2), head(op.I8, 75, 1044, 2, 0, 2), head(op.I8, 37, 2068, 1, 0, 1),
		head(op.BF16, 75, 1068, 2, 0, 2), head(op.Ternary, 75, 1068, 33, 32, 1), groups(301, 1152, 128, 3, 2, 1), groups(41, 320, 64, 7, 3, 2),
		head(op.Ternary, 37, 2176, 1, 0, 1), head(op.Ternary, 37, 2176, 33, 32, 1),
		known("F32", loaded(op.HostTensor{Format: op.F32, Shape: rows, F32: []float32{1, 1, 1, 1, 0.5, 0, 0, -1}}), []float32{10, -3.5}),
		known("F16", loaded(op.HostTensor{Format: op.F16, Shape: rows, F16: []uint16{0x3C00, 0x3C00, 0x3C00, 0x3C00, 0x3800, 0, 0x8000, 0xBC00}}),
			[]float32{10, -3.5}),
		known("F16-extremes", loaded(op.HostTensor{Format: op.F16, Shape: rows, F16: []uint16{0x7BFF, 0, 0, 0, 0, 0, 0, 0x0400}}),
			[]float32{65504, 4 * 6.103515625e-05}),
		known("I8", loaded(op.HostTensor{Format: op.I8, Shape: rows, I8: []int8{1, 1, 1, 1, 127, 0, 0, -128}, Scales: []float32{2, 0.5}}),
			[]float32{20, 0.5 * (127 - 512)}),
		Case[T]{
			Op: "head", Name: "extreme/zeros", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, table := b.All("h", 0, 3, 36), b.Normal("gain", 1, 36), b.Table("table", op.F32, 75, 36)
				x, logits := b.Stale("x", 3, 36), b.Stale("logits", 3, 75)
				return Trial[T]{Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Head[T]{Logits: logits, X: x, W: table}), Outputs: []string{"x", "logits"}}
			},
		},
		Case[T]{ // rows outside of from… stay as they are, as a loop over slices of rows needs it
			Op: "head", Name: "backward/slice", Tolerance: exact,
			Make: func(b *Bench[T]) Trial[T] {
				x, table, dlogits := b.Whole("x", 9, 8, 36), b.Whole("table", 9, 7, 36), b.Whole("dlogits", 9, 3, 7)
				dx, dtable := b.Whole("dx", 9, 8, 36), b.Whole("dtable", 9, 7, 36)
				return Trial[T]{
					Forward: b.program(&op.HeadBackward[T]{DX: dx, DW: dtable, DLogits: dlogits, X: x, W: table, From: 2}),
					Outputs: []string{"dx", "dtable"},
				}
			},
		},
		Case[T]{
			Op: "head", Name: "refuses/width", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				h, gain, table := b.Normal("h", 1, 2, 8), b.Normal("gain", 1, 8), b.Table("table", op.F32, 5, 12)
				x, logits := b.Stale("x", 2, 8), b.Stale("logits", 2, 5)
				return Trial[T]{Forward: b.program(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Head[T]{Logits: logits, X: x, W: table})}
			},
		},
		Case[T]{
			Op: "head", Name: "refuses/backward", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				x, table, dlogits := b.Normal("x", 1, 2, 8), b.Table("table", op.F32, 5, 8), b.Normal("dlogits", 1, 2, 5)
				dx, dtable := b.Stale("dx", 2, 8), b.Stale("dtable", 5, 7)
				return Trial[T]{Forward: b.program(&op.HeadBackward[T]{DX: dx, DW: dtable, DLogits: dlogits, X: x, W: table})}
			},
		},
		large(head(op.F32, 16384, 256, 1, 0, 1), 4*16384*257), large(head(op.F16, 16384, 256, 1, 0, 1), 16384*(512+4)),
		large(head(op.I8, 16384, 256, 1, 0, 1), 16384*(256+4)), large(head(op.F32, 4096, 256, 256, 0, 256), 4*4096*(256+256)),
	)
}
