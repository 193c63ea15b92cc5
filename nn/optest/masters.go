package optest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"bitgpu/nn/op"
)

// mastersCases returns the cases for training the masters of public models, beyond those of our own models: the gradients of weights
// with scales of rows or groups, with rounded inputs, and of a ternary head.
func mastersCases[T any]() []Case[T] {
	weights := func(n, group int, int8 bool) Case[T] {
		const K, R = 64, 150
		return Case[T]{
			Op: "linear", Name: fmt.Sprintf("masters/n%d/group%d/int8=%v", n, group, int8), Tolerance: summing(R),
			Make: func(b *Bench[T]) Trial[T] {
				x, y, w := b.Normal("x", 1, n, K), b.Stale("y", n, R), b.Scaled("w", R, K, group)
				dx, dw, dy := b.Stale("dx", n, K), b.Normal("dw", 1, R, K), b.Normal("dy", 0.2, n, R)
				return Trial[T]{
					Forward: b.program(&op.Linear[T]{Y: y, X: x, W: w, Int8: int8}), Outputs: []string{"y"},
					Backward: b.program(&op.LinearBackward[T]{DX: dx, DW: dw, DY: dy, X: x, W: w, Int8: int8}), Also: []string{"dx", "dw"},
				}
			},
		}
	}
	return []Case[T]{
		weights(3, 0, true), weights(70, 0, true), weights(5, 32, false), weights(41, 64, false),
		{
			Op: "head", Name: "masters", Tolerance: summing(150),
			Make: func(b *Bench[T]) Trial[T] {
				const m, D, V = 9, 64, 150
				x, logits, w := b.Normal("x", 1, m+2, D), b.Stale("logits", m, V), b.Scaled("w", V, D, 32)
				dx, dw, dy := b.Normal("dx", 1, m+2, D), b.Normal("dw", 1, V, D), b.Normal("dlogits", 0.2, m, V)
				return Trial[T]{
					Forward: b.program(&op.Head[T]{Logits: logits, X: x, W: w, From: 1}), Outputs: []string{"logits"},
					Backward: b.program(&op.HeadBackward[T]{DX: dx, DW: dw, DLogits: dy, X: x, W: w, From: 1}), Also: []string{"dx", "dw"},
				}
			},
		},
	}
}

// QuantizingMasters compares a float32 backend with PackRowBlocks and PackGroups, to the bit, for blocks of any size and for groups.
// Weights that were ternary must stay what they were.
func QuantizingMasters[T any](t *testing.T, ops op.Executor[T]) {
	r := rand.New(rand.NewPCG(3, 4))
	run := func(w op.HostTensor, q T, o *op.Quantize[T]) op.HostTensor {
		x := ops.Load(w)
		defer ops.Release(x, q)
		o.Q, o.W = q, x
		p, err := ops.Prepare(op.Program[T]{o})
		check(t, err)
		defer p.Release()
		p.Run()
		got, err := ops.DownloadTernary(q)
		check(t, err)
		return got
	}
	matrix := func(rows, cols int) op.HostTensor {
		w := op.HostTensor{Format: op.F32, Shape: []int{rows, cols}, F32: make([]float32, rows*cols)}
		for i := range w.F32 {
			w.F32[i] = float32(0.02 * r.NormFloat64())
		}
		return w
	}
	for _, blocks := range [][]int{{7}, {40, 20, 20}, {1, 130, 3}} {
		rows := 0
		for _, n := range blocks {
			rows += n
		}
		for _, cols := range []int{36, 300} {
			w := matrix(rows, cols)
			for i := 0; i < len(w.F32); i += 3 { // near the threshold of the first block
				want := op.PackRowBlocks(w, blocks)
				w.F32[i] = want.Scales[0] / 2 * float32(1+float64(r.IntN(5)-2)*0x1p-24)
				i += len(w.F32) / 20
			}
			want := op.PackRowBlocks(w, blocks)
			same(t, fmt.Sprintf("blocks %v of %d", blocks, cols), run(w, ops.NewTernary(rows, cols, rows, true), &op.Quantize[T]{RowBlocks: blocks, HalfEven: true}), want)
		}
	}
	for _, group := range []int{32, 64, 128} {
		w := matrix(5, 3*group)
		clear(w.F32[:group]) // zeros have no scale
		want := op.PackGroups(w, group)
		got := run(w, ops.NewGroups(5, 3*group, group), &op.Quantize[T]{})
		same(t, fmt.Sprintf("groups of %d", group), got, want)
		// Ternary weights do not change.
		for i := range w.F32 {
			scale := float16.Fromfloat32(0.01 * float32(1+i/group)).Float32()
			w.F32[i] = scale * float32(r.IntN(3)-1)
		}
		want, got = op.PackGroups(w, group), run(w, ops.NewGroups(5, 3*group, group), &op.Quantize[T]{})
		for i, bits := range want.GroupScales {
			if bits != got.GroupScales[i] || float16.Frombits(bits) != float16.Fromfloat32(0.01*float32(1+i)) {
				t.Errorf("group %d of %d: the scale is %v, want that of the ternary weights", i, group, float16.Frombits(got.GroupScales[i]))
			}
		}
		same(t, fmt.Sprintf("ternary groups of %d", group), got, op.HostTensor{Codes: want.Codes})
	}
}
