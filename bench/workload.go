package bench

import (
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// workload is one operation as a model calls it, with what it costs at least: inputs read once,
// outputs written once, multiply-adds counted as two operations, exp and division as one.
type workload[T any] struct {
	key          string
	bytes, flops int64
	weights      int64 // of a ternary matrix that one row of activations is multiplied by, else 0
	make         func(b *fixture[T]) (run func())
}

// phase is a way in which a model calls its operations: decoding a token, reading a prompt, training.
type phase[T any] struct {
	name  string // decode, prompt or training
	c     nn.Config
	batch int // B
	time  int // T
	scan  op.Scan
	list  []workload[T]
}

func (f *phase[T]) rows() int { return f.batch * f.time }

func (f *phase[T]) add(op, shape string, bytes, flops int, make func(b *fixture[T]) func()) {
	key := fmt.Sprintf("op/%s/%s/%s,n%d", op, f.name, shape, f.rows())
	f.list = append(f.list, workload[T]{key: key, bytes: int64(bytes), flops: int64(flops), make: make})
}

// product adds one with a ternary matrix.
func (f *phase[T]) product(op string, rows, cols, bytes, flops int, make func(b *fixture[T]) func()) {
	f.add(op, fmt.Sprintf("%dx%d", rows, cols), bytes, flops, make)
	if f.rows() == 1 {
		f.list[len(f.list)-1].weights = int64(rows * cols)
	}
}

// packed is the bytes of a ternary matrix.
func packed(rows, cols int) int { return rows * ternary.RowBytes(cols) }

// tableBytes is the bytes of a table.
func tableBytes(format op.Format, rows, cols int) int {
	switch format {
	case op.F16:
		return 2 * rows * cols
	case op.I8:
		return rows*cols + 4*rows
	}
	return 4 * rows * cols
}

// workloads are the operations of a width: those of a decoded token, of a prompt and of training.
func workloads[T any](width int, e preset) []workload[T] {
	c := Size{width, 1, e.vocab}.config(nn.MixerTied)
	var all []workload[T]
	for _, f := range []phase[T]{
		{name: "decode", batch: 1, time: 1},
		{name: "prompt", batch: 1, time: e.rows},
		{name: "training", batch: max(e.train/e.context, 1), time: min(e.context, e.train)},
	} {
		f.c, f.scan = c, c.DefaultScan()
		f.forward()
		if f.name == "training" {
			f.backward()
			f.update()
		}
		all = append(all, f.list...)
	}
	return all
}

func (f *phase[T]) forward() {
	c, n := f.c, f.rows()
	D, d, H, V := c.Width, c.MemoryWidth, c.MLPWidth, c.Vocab
	training := f.name == "training"

	f.add("Embed", fmt.Sprintf("%dx%d/F16", V, D), n*(4+6*D), 0, func(b *fixture[T]) func() {
		h, table, tokens := b.room(n, D), b.table(op.F16, V, D), b.tokens(V, n)
		return b.run(&op.Embed[T]{H: h, Table: table, Tokens: tokens})
	})
	for _, blocks := range []int{1, 3} { // the tied mixer's projection, and the delta mixer's
		R := blocks * d
		f.product("NormLinear", R, D, packed(R, D)+4*(2*n*D+n*R+D), 2*n*R*D+4*n*D, func(b *fixture[T]) func() {
			y, x, h, gain, w := b.room(n, R), b.room(n, D), b.normal(n, D), b.normal(D), b.ternary(R, D, blocks)
			return b.run(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: y, X: x, W: w})
		})
	}
	f.scans(training)
	for _, K := range []int{d, H} {
		f.product("LinearAdd", D, K, packed(D, K)+4*(n*K+2*n*D), 2*n*D*K+n*D, func(b *fixture[T]) func() {
			y, r, x, w := b.room(n, D), b.normal(n, D), b.normal(n, K), b.ternary(D, K, 1)
			return b.run(&op.Linear[T]{Y: y, Addend: r, X: x, W: w})
		})
	}
	written := n * H
	if training {
		written += 2*n*H + n*D
	}
	f.product("NormSwiGLU", 2*H, D, packed(2*H, D)+4*(n*D+D+written), 4*n*H*D+4*n*D+5*n*H, func(b *fixture[T]) func() {
		a, h, gain, w := b.room(n, H), b.normal(n, D), b.normal(D), b.ternary(2*H, D, 2)
		gu, x := b.room(n, 2*H), b.room(n, D)
		return b.run(&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: gu, X: x, W: w}, &op.SwiGLU[T]{A: a, GateUp: gu})
	})

	if f.rows() == 1 {
		f.blockProducts()
	}

	m := 1 // rows whose logits are wanted
	formats := []op.Format{op.F32, op.F16, op.I8}
	if training {
		m, formats = n, formats[:1]
	}
	if f.name == "prompt" {
		return // the same head as for a decoded token
	}
	for _, format := range formats {
		f.add("NormHead", fmt.Sprintf("%dx%d/%v", V, D, format), tableBytes(format, V, D)+4*(2*m*D+D+m*V), 2*m*V*D+4*m*D, func(b *fixture[T]) func() {
			logits, x, h, gain, head := b.room(m, V), b.room(n, D), b.normal(n, D), b.normal(D), b.table(format, V, D)
			return b.run(&op.RMSNorm[T]{X: x, H: h, Gain: gain, From: n - m, Count: m}, &op.Head[T]{Logits: logits, X: x, W: head, From: n - m})
		})
	}
	if training {
		return
	}
	for _, p := range []struct {
		name string
		op.Sampling
	}{{"greedy", op.Sampling{}}, {"draw", op.Sampling{Temperature: 0.8}}, {"top40,p0.95", usualSampling}} {
		f.add("Sample", fmt.Sprintf("%d/%s", V, p.name), n*4*V, 2*n*V, func(b *fixture[T]) func() {
			logits := b.normal(n, V)
			next, out, recent := b.own(b.ops.New(op.U32, n)), b.own(b.ops.New(op.U32, n, 1)), b.own(b.ops.New(op.U32, n, op.RecentSize))
			return b.run(&op.Sample[T]{Next: next, Out: out, Recent: recent, Rules: b.rules(p.Sampling, n), Logits: logits})
		})
	}
}

// blockProducts are all ternary products of a block with the tied mixer, one after the other: small ones count by the time
// that they take.
func (f *phase[T]) blockProducts() {
	D, d, H := f.c.Width, f.c.MemoryWidth, f.c.MLPWidth
	bytes := packed(d, D) + packed(D, d) + packed(2*H, D) + packed(D, H) + 4*(8*D+2*d+2*H)
	weights := 2*d*D + 3*H*D
	f.add("BlockProducts", fmt.Sprint(D), bytes, 2*weights+10*D+5*H, func(b *fixture[T]) func() {
		h, x, gain := b.normal(1, D), b.room(1, D), b.normal(D)
		key, a := b.room(1, d), b.room(1, H)
		memory, out := b.ternary(d, D, 1), b.ternary(D, d, 1)
		up, down := b.ternary(2*H, D, 2), b.ternary(D, H, 1)
		gu, y := b.room(1, 2*H), b.room(1, D)
		return b.run(
			&op.RMSNorm[T]{X: x, H: h, Gain: gain}, &op.Linear[T]{Y: key, X: x, W: memory},
			&op.Linear[T]{Y: y, Addend: h, X: key, W: out},
			&op.RMSNorm[T]{X: x, H: y, Gain: gain}, &op.Linear[T]{Y: gu, X: x, W: up}, &op.SwiGLU[T]{A: a, GateUp: gu},
			&op.Linear[T]{Y: y, Addend: h, X: a, W: down},
		)
	})
	f.list[len(f.list)-1].weights = int64(weights)
}

// usualSampling is how text is made where it is not greedy.
var usualSampling = op.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, Seed: 1}

// scans are the memories of both mixers. The recurrence needs a prediction and an update a token,
// 2dc operations each; the delta mixer reads once more.
func (f *phase[T]) scans(training bool) {
	B, n := f.batch, f.rows()
	tied := f.c
	d := tied.MemoryWidth
	starts := 0
	if training {
		starts = 4 * B * ((f.time + f.scan.Chunk - 1) / f.scan.Chunk) * d
	}
	f.add("TiedScan", fmt.Sprintf("d%d,b%d", d, B), 4*(2*n*d+2*B*d*d)+starts*d, n*(4*d*d+5*d), func(b *fixture[T]) func() {
		z, keys, state := b.room(n, d), b.normal(n, d), b.room(B, d, d)
		var starts T
		if training {
			starts = b.room(B, op.Chunks(n, B, f.scan.Chunk), d, d)
		}
		return b.run(&op.TiedScan[T]{Z: z, F: keys, State: state, Starts: starts, Scan: f.scan})
	})

	delta := Size{tied.Width, 1, tied.Vocab}.config(nn.MixerDelta)
	h, c, D := delta.Heads, delta.HeadWidth(), tied.Width
	f.add("Step", fmt.Sprintf("%dx%d", h, D), 4*(n*D+h*D+h+n*h), 2*n*h*D+4*n*h, func(b *fixture[T]) func() {
		y, x, w, bias := b.room(n, h), b.normal(n, D), b.normal(h, D), b.normal(h)
		return b.run(&op.StepSize[T]{Beta: y, X: x, W: w, Bias: bias})
	})
	bytes := 4*(n*(3*d+h+d+3*d+d)+2*B*d*c+2*B*9*d+12*d) + starts*c
	f.add("DeltaScan", fmt.Sprintf("d%d,h%d,b%d", d, h, B), bytes, n*(6*d*c+40*d), func(b *fixture[T]) func() {
		o, u, beta := b.room(n, d), b.normal(n, 3*d), b.room(n, h)
		b.ops.Write(beta, 0, halves(n*h))
		conv, gain := b.normal(3, d, op.ConvTaps), b.normal(c)
		state, tail := b.room(B, h, c, c), b.room(B, 3, op.ConvTail, d)
		kqv, read := b.room(n, 3*d), b.room(n, d)
		var starts T
		if training {
			starts = b.room(B, op.Chunks(n, B, f.scan.Chunk), h, c, c)
		}
		return b.run(&op.DeltaScan[T]{O: o, U: u, Beta: beta, Conv: conv, Gain: gain, State: state, Tail: tail, KQV: kqv, Answers: read, Starts: starts, Chunk: f.scan.Chunk})
	})
}

func halves(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 0.5
	}
	return v
}
