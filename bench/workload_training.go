package bench

import (
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// backward adds the gradients of forward.
func (f *phase[T]) backward() {
	c, n := f.c, f.rows()
	D, d, H, V := c.Width, c.MemoryWidth, c.MLPWidth, c.Vocab

	f.add("CrossEntropy", fmt.Sprint(V), 4*(2*n*V+n), 6*n*V, func(b *fixture[T]) func() {
		loss, logits, targets := b.room(1), b.normal(n, V), b.tokens(V, n)
		return b.run(&op.CrossEntropy[T]{Loss: loss, Logits: logits, Targets: targets, Scale: 1 / float32(n)})
	})
	f.add("HeadBackward", fmt.Sprintf("%dx%d", V, D), 4*(3*V*D+n*V+2*n*D), 4*n*V*D, func(b *fixture[T]) func() {
		dx, dhead, dlogits, x, head := b.room(n, D), b.room(V, D), b.normal(n, V), b.normal(n, D), b.table(op.F32, V, D)
		return b.run(&op.HeadBackward[T]{DX: dx, DW: dhead, DLogits: dlogits, X: x, W: head})
	})
	f.add("RMSNormBackward", fmt.Sprint(D), 4*(4*n*D+3*D), 10*n*D, func(b *fixture[T]) func() {
		dh, dgain, dx, h, gain := b.room(n, D), b.room(D), b.normal(n, D), b.normal(n, D), b.normal(D)
		return b.run(&op.RMSNormBackward[T]{DH: dh, DGain: dgain, DX: dx, H: h, Gain: gain})
	})
	for _, m := range []struct{ R, K, blocks int }{{d, D, 1}, {3 * d, D, 3}, {D, d, 1}, {2 * H, D, 2}, {D, H, 1}} {
		R, K := m.R, m.K
		f.add("LinearBackward", fmt.Sprintf("%dx%d", R, K), packed(R, K)+4*(n*R+2*n*K+2*R*K), 4*n*R*K, func(b *fixture[T]) func() {
			dx, dw, dy, x, w := b.room(n, K), b.room(R, K), b.normal(n, R), b.normal(n, K), b.ternary(R, K, m.blocks)
			return b.run(&op.LinearBackward[T]{DX: dx, DW: dw, DY: dy, X: x, W: w})
		})
	}
	f.add("SwiGLUBackward", fmt.Sprint(H), 4*5*n*H, 12*n*H, func(b *fixture[T]) func() {
		dgu, da, gu := b.room(n, 2*H), b.normal(n, H), b.normal(n, 2*H)
		return b.run(&op.SwiGLUBackward[T]{DGateUp: dgu, DA: da, GateUp: gu})
	})
	f.scansBackward()
	f.add("EmbedBackward", fmt.Sprintf("%dx%d", V, D), n*(4+12*D), n*D, func(b *fixture[T]) func() {
		dtable, dh, tokens := b.room(V, D), b.normal(n, D), b.tokens(V, n)
		return b.run(&op.EmbedBackward[T]{DTable: dtable, DH: dh, Tokens: tokens})
	})
}

// scansBackward: five products with the memory or its gradient a token for the tied mixer, seven
// for the delta mixer.
func (f *phase[T]) scansBackward() {
	B, n := f.batch, f.rows()
	tied := f.c
	d := tied.MemoryWidth
	starts := 4 * B * ((f.time + f.scan.Chunk - 1) / f.scan.Chunk) * d
	f.add("TiedScanBackward", fmt.Sprintf("d%d,b%d", d, B), 4*3*n*d+starts*d, 10*n*d*d, func(b *fixture[T]) func() {
		z, df, dz, keys, state := b.room(n, d), b.room(n, d), b.normal(n, d), b.normal(n, d), b.room(B, d, d)
		starts := b.room(B, op.Chunks(n, B, f.scan.Chunk), d, d)
		b.run(&op.TiedScan[T]{Z: z, F: keys, State: state, Starts: starts, Scan: f.scan})()
		return b.run(&op.TiedScanBackward[T]{DF: df, DZ: dz, F: keys, Starts: starts, Scan: f.scan})
	})

	delta := Size{tied.Width, 1, tied.Vocab}.config(nn.MixerDelta)
	h, c, D := delta.Heads, delta.HeadWidth(), tied.Width
	f.add("StepBackward", fmt.Sprintf("%dx%d", h, D), 4*(3*n*D+2*n*h+3*h*D), 4*n*h*D, func(b *fixture[T]) func() {
		dx, dw, dbias := b.room(n, D), b.room(h, D), b.room(h)
		db, beta, x, w := b.normal(n, h), b.room(n, h), b.normal(n, D), b.normal(h, D)
		b.ops.Write(beta, 0, halves(n*h))
		return b.run(&op.StepSizeBackward[T]{DX: dx, DW: dw, DBias: dbias, DBeta: db, Beta: beta, X: x, W: w})
	})
	bytes := 4*n*(3*d+3*d+d+d+3*d+2*h) + starts*c
	f.add("DeltaScanBackward", fmt.Sprintf("d%d,h%d,b%d", d, h, B), bytes, n*(14*d*c+100*d), func(b *fixture[T]) func() {
		o, u, beta := b.room(n, d), b.normal(n, 3*d), b.room(n, h)
		b.ops.Write(beta, 0, halves(n*h))
		conv, gain := b.normal(3, d, op.ConvTaps), b.normal(c)
		state, tail := b.room(B, h, c, c), b.room(B, 3, op.ConvTail, d)
		kqv, read := b.room(n, 3*d), b.room(n, d)
		starts := b.room(B, op.Chunks(n, B, f.scan.Chunk), h, c, c)
		b.run(&op.DeltaScan[T]{O: o, U: u, Beta: beta, Conv: conv, Gain: gain, State: state, Tail: tail, KQV: kqv, Answers: read, Starts: starts, Chunk: f.scan.Chunk})()
		du, db, dconv, dgain, do := b.room(n, 3*d), b.room(n, h), b.room(3, d, op.ConvTaps), b.room(c), b.normal(n, d)
		return b.run(&op.DeltaScanBackward[T]{DU: du, DBeta: db, DConv: dconv, DGain: dgain, DO: do, U: u, Beta: beta, Conv: conv, Gain: gain, KQV: kqv, Answers: read, Starts: starts, Chunk: f.scan.Chunk})
	})
}

// update adds what follows the gradients, for the largest ternary matrix.
func (f *phase[T]) update() {
	R, K := 2*f.c.MLPWidth, f.c.Width
	shape := fmt.Sprintf("%dx%d", R, K)
	f.add("Quantize", shape, 4*R*K+packed(R, K), 3*R*K, func(b *fixture[T]) func() {
		q, w := b.own(b.ops.NewTernary(R, K, 2, true)), b.normal(R, K)
		return b.run(&op.Quantize[T]{Q: q, W: w})
	})
	f.add("SumSquares", shape, 4*R*K, 2*R*K, func(b *fixture[T]) func() {
		sum, g := b.room(1), b.normal(R, K)
		return b.run(&op.SumSquares[T]{Sum: sum, G: g})
	})
	f.add("AdamW", shape, 4*7*R*K, 14*R*K, func(b *fixture[T]) func() {
		w, m, v, g, sum, hyper := b.normal(R, K), b.room(R, K), b.room(R, K), b.normal(R, K), b.room(1), b.room(op.HyperCount)
		numbers := make([]float32, op.HyperCount)
		numbers[op.HyperLR], numbers[op.HyperBeta1], numbers[op.HyperBeta2] = 1e-4, 0.9, 0.999
		numbers[op.HyperEps], numbers[op.HyperDecay] = 1e-8, 0.01
		numbers[op.HyperCorrect1], numbers[op.HyperCorrect2] = 0.1, 0.001
		b.ops.Write(hyper, 0, numbers)
		return b.run(&op.AdamW[T]{W: w, M: m, V: v, G: g, SumSquares: sum, Hyper: hyper})
	})
}
