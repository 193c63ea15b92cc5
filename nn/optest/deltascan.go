package optest

import (
	"fmt"

	"bitgpu/nn/op"
)

// delta is one delta scan.
type delta struct {
	name          string
	B, T, h, c, C int  // C is the chunk
	fresh         bool // from an empty memory and tail
	starts        bool // keeps the memory before each chunk
}

// eps returns the ε of the norm: with two heads or more, another than the usual one.
func (s delta) eps() float64 {
	if s.h > 1 {
		return 1e-2
	}
	return 0
}

func (s delta) String() string {
	return fmt.Sprintf("%s/chunk%d/B%d/T%d/h%d/c%d", s.name, s.C, s.B, s.T, s.h, s.c)
}

// deltaTensors holds the tensors that a delta scan reads and writes.
type deltaTensors[T any] struct {
	o, u, b, conv, gain, state, tail, kqv, read, starts T
	program                                             op.Program[T]
	eps                                                 float64
	forward                                             func()
	outputs                                             []string
}

// deltaForward makes the tensors of a scan of projections u and steps beta, and the scan itself.
func deltaForward[T any](b *Bench[T], s delta, u, beta T) deltaTensors[T] {
	n, d := s.B*s.T, s.h*s.c
	t := deltaTensors[T]{
		u: u, b: beta,
		conv: b.Normal("conv", 0.5, 3, d, op.ConvTaps), gain: b.Near("gain", 1, 0.3, s.c),
		o: b.Stale("o", n, d), state: b.Stale("state", s.B, s.h, s.c, s.c), tail: b.Stale("tail", s.B, 3, op.ConvTail, d),
		kqv: b.Stale("kqv", n, 3*d), read: b.Stale("read", n, d),
		outputs: []string{"o", "state", "tail", "kqv", "read"},
	}
	before, inputs := b.Normal("before", 0.3, s.B, s.h, s.c, s.c), b.Normal("inputs", 1, s.B, 3, op.ConvTail, d)
	if s.starts {
		t.starts = b.Stale("starts", s.B, (s.T+s.C-1)/s.C, s.h, s.c, s.c)
		t.outputs = append(t.outputs, "starts")
	}
	if s.fresh {
		t.program.Add(&op.Zero[T]{X: t.state}, &op.Zero[T]{X: t.tail})
	} else {
		t.program.Add(&op.Copy[T]{Dst: t.state, Src: before, N: s.B * s.h * s.c * s.c},
			&op.Copy[T]{Dst: t.tail, Src: inputs, N: s.B * 3 * op.ConvTail * d})
	}
	t.eps = s.eps()
	t.program.Add(t.scan(s.C))
	t.forward = b.program(t.program...)
	return t
}

func (t *deltaTensors[T]) scan(chunk int) op.Op[T] {
	return &op.DeltaScan[T]{
		O: t.o, U: t.u, Beta: t.b, Conv: t.conv, Gain: t.gain, State: t.state, Tail: t.tail, KQV: t.kqv, Answers: t.read,
		Starts: t.starts, Chunk: chunk, Eps: t.eps,
	}
}

// deltaCase scans random projections.
func deltaCase[T any](s delta) Case[T] {
	return deltaOf(s, func(b *Bench[T]) (u, beta T) {
		return b.Normal("u", 1, s.B*s.T, 3*s.h*s.c), b.Between("b", 0, 1, s.B*s.T, s.h)
	})
}

func deltaOf[T any](s delta, inputs func(b *Bench[T]) (u, beta T)) Case[T] {
	return Case[T]{
		Op: "deltascan", Name: s.String(), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			u, beta := inputs(b)
			t := deltaForward(b, s, u, beta)
			return Trial[T]{Forward: t.forward, Outputs: t.outputs}
		},
	}
}

func deltaBackward[T any](s delta) Case[T] {
	s.name, s.starts, s.fresh = "backward", true, true
	return Case[T]{
		Op: "deltascan", Name: s.String(), Tolerance: Tolerance{2e-4, 1e-4, "the norm and the unit length divide by what may be short"},
		Make: func(b *Bench[T]) Trial[T] {
			n, d := s.B*s.T, s.h*s.c
			t := deltaForward(b, s, b.Normal("u", 1, n, 3*d), b.Between("b", 0.2, 0.9, n, s.h))
			do, du, db := b.Normal("do", 0.3, n, d), b.Stale("du", n, 3*d), b.Stale("db", n, s.h)
			dconv, dgain := b.Normal("dconv", 1, 3, d, op.ConvTaps), b.Normal("dgain", 1, s.c)
			return Trial[T]{
				Forward: t.forward, Outputs: t.outputs,
				Upstream: []string{"o"},
				Backward: b.program(
					&op.DeltaScanBackward[T]{DU: du, DBeta: db, DConv: dconv, DGain: dgain, DO: do, U: t.u, Beta: t.b, Conv: t.conv, Gain: t.gain, KQV: t.kqv, Answers: t.read, Starts: t.starts, Chunk: s.C, Eps: s.eps()},
				),
				Writes: []string{"u", "b"},
				Adds:   []string{"conv", "gain"},
			}
		},
	}
}

func deltascanCases[T any]() []Case[T] {
	var cases []Case[T]
	for i, chunk := range []int{1, 7, 16, 64} {
		cases = append(cases,
			deltaCase[T](delta{"random", 1, 50, 1, 8, chunk, false, true}),
			deltaCase[T](delta{"random", 3, 33, 2, 12, chunk, i%2 == 0, i%2 == 1}),
			deltaCase[T](delta{"random", 1, 70, 1, 64, chunk, true, true}),
			deltaCase[T](delta{"one-token", 2, 1, 3, 12, chunk, false, false}),
			deltaCase[T](delta{"two-tokens", 1, 2, 3, 8, chunk, false, false}),
			repeatedInputs[T](chunk),
			deltaBackward[T](delta{B: 2, T: 19, h: 2, c: 5, C: chunk}),
			deltaBackward[T](delta{B: 1, T: 70, h: 1, c: 8, C: chunk}),
		)
	}
	extreme := func(name string, inputs func(b *Bench[T], n, d int) (u, beta T)) Case[T] {
		s := delta{"extreme/" + name, 1, 20, 2, 12, 16, false, true}
		return deltaOf(s, func(b *Bench[T]) (u, beta T) { return inputs(b, s.T, s.h*s.c) })
	}
	big := func(b *Bench[T], n, d int) (T, T) { return b.Normal("u", 1e4, n, 3*d), b.Between("b", 0, 1, n, 2) }
	return append(cases,
		deltaCase[T](delta{"random", 1, 1, 1, 1, 16, true, true}),
		deltaCase[T](delta{"random", 1, 17, 3, 64, 16, false, false}),
		deltaCase[T](delta{"random", 2, 4, 3, 3, 16, false, true}),
		deltaBackward[T](delta{B: 1, T: 1, h: 1, c: 12, C: 16}),
		deltaBackward[T](delta{B: 1, T: 3, h: 3, c: 4, C: 16}),
		deltaBackward[T](delta{B: 1, T: 33, h: 3, c: 12, C: 16}),
		deltaBackward[T](delta{B: 1, T: 20, h: 1, c: 64, C: 16}),
		only(extreme("large", big), scanned, "o"),
		only(extreme("large/memory", big), Tolerance{0.5, 5e-5, "sums of values around 10,000"}, "state", "tail", "kqv", "read", "starts"),
		extreme("tiny", func(b *Bench[T], n, d int) (T, T) { return b.Normal("u", 1e-2, n, 3*d), b.Between("b", 0, 1, n, 2) }),
		extreme("zeros", func(b *Bench[T], n, d int) (T, T) { return b.All("u", 0, n, 3*d), b.Between("b", 0, 1, n, 2) }),
		extreme("whole-steps", func(b *Bench[T], n, d int) (T, T) { return b.Normal("u", 1, n, 3*d), b.All("b", 1, n, 2) }),
		deltaIdle[T](), deltaSplit[T](), deltaConvolution[T](),
		Case[T]{
			Op: "deltascan", Name: "refuses/projections", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				t := deltaForward(b, delta{B: 1, T: 4, h: 2, c: 4, C: 16}, b.Normal("u", 1, 4, 16), b.Between("b", 0, 1, 4, 2))
				return Trial[T]{Forward: t.forward}
			},
		},
		Case[T]{
			Op: "deltascan", Name: "refuses/steps", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				t := deltaForward(b, delta{B: 1, T: 4, h: 2, c: 4, C: 16}, b.Normal("u", 1, 4, 24), b.Between("b", 0, 1, 4, 3))
				return Trial[T]{Forward: t.forward}
			},
		},
		large(deltaCase[T](delta{"random", 1, 512, 1, 64, 16, true, false}), 4*(512*64*9+2*64*64*512/16)),
		large(deltaCase[T](delta{"decode", 1, 1, 4, 64, 16, true, false}), 4*(256*9+2*4*64*64)),
		large(deltaBackward[T](delta{B: 16, T: 128, h: 1, c: 64, C: 16}), 0),
	)
}

// only restricts the comparison to some of a case's outputs, with a tolerance of their own.
func only[T any](c Case[T], tolerance Tolerance, outputs ...string) Case[T] {
	c.Tolerance = tolerance
	whole := c.Make
	c.Make = func(b *Bench[T]) Trial[T] {
		t := whole(b)
		t.Outputs = outputs
		return t
	}
	return c
}

// repeatedInputs reads one token 300 times: after the convolution has filled, every key is the
// same, and the memory converges to the answer.
func repeatedInputs[T any](chunk int) Case[T] {
	s := delta{"repeated", 1, 300, 2, 8, chunk, true, false}
	return deltaOf(s, func(b *Bench[T]) (u, beta T) {
		b.Normal("row", 1, 3*s.h*s.c)
		var rows []float32
		for range s.T {
			rows = append(rows, b.Start("row")...)
		}
		return b.Floats("u", rows, s.T, 3*s.h*s.c), b.All("b", 0.7, s.T, s.h)
	})
}

// deltaIdle has steps of zero, so the memory does not change.
func deltaIdle[T any]() Case[T] {
	s := delta{"idle", 2, 20, 2, 8, 16, false, true}
	return Case[T]{
		Op: "deltascan", Name: s.String(), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			t := deltaForward(b, s, b.Normal("u", 1, s.B*s.T, 3*s.h*s.c), b.All("b", 0, s.B*s.T, s.h))
			return Trial[T]{
				Forward: t.forward, Outputs: t.outputs,
				Check: func(v Values) error { return exact.compare("state", v("state"), b.Start("before")) },
			}
		},
	}
}

// deltaSplit reads in two pieces what is also read at once: memory and tail must be the same.
func deltaSplit[T any]() Case[T] {
	s := delta{"split", 1, 9, 2, 8, 7, true, false}
	return Case[T]{
		Op: "deltascan", Name: s.String(), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			const first = 2
			d := s.h * s.c
			t := deltaForward(b, s, b.Normal("u", 1, s.T, 3*d), b.Between("b", 0, 1, s.T, s.h))
			rest, whole := t, t
			part := func(name string, width, n int) T { return b.Stale(name, n, width) }
			rest.u, rest.b = part("rest.u", 3*d, s.T-first), part("rest.b", s.h, s.T-first)
			rest.o, rest.read, rest.kqv = part("rest.o", d, s.T-first), part("rest.read", d, s.T-first), part("rest.kqv", 3*d, s.T-first)
			rest.state, rest.tail = b.All("pieces.state", 0, 1, s.h, s.c, s.c), b.All("pieces.tail", 0, 1, 3, op.ConvTail, d)
			head := rest
			head.u, head.b = b.Ops.Rows(t.u, first), b.Ops.Rows(t.b, first)
			head.o, head.read, head.kqv = b.Ops.Rows(t.o, first), b.Ops.Rows(t.read, first), b.Ops.Rows(t.kqv, first)
			return Trial[T]{
				Forward: b.program(append(op.Program[T]{
					&op.Zero[T]{X: rest.state},
					&op.Zero[T]{X: rest.tail},
					head.scan(s.C),
					&op.Copy[T]{Dst: rest.u, Src: t.u, SrcOffset: first * 3 * d, N: (s.T - first) * 3 * d},
					&op.Copy[T]{Dst: rest.b, Src: t.b, SrcOffset: first * s.h, N: (s.T - first) * s.h},
					rest.scan(s.C),
				}, whole.program...)...),
				Outputs: []string{"o", "rest.o", "state", "tail", "pieces.state", "pieces.tail"},
				Check: func(v Values) error {
					if err := scanned.compare("o", v("rest.o"), v("o")[first*d:]); err != nil {
						return err
					}
					if err := scanned.compare("state", v("pieces.state"), v("state")); err != nil {
						return err
					}
					return exact.compare("tail", v("pieces.tail"), v("tail"))
				},
			}
		},
	}
}

// deltaConvolution computes the convolution by hand: taps 1, 2, 3, 4 over the inputs 1, 10 and 100
// after a tail of 0, 0, 7 give 7·3 + 4, …, each through SiLU, which does not change numbers that large.
func deltaConvolution[T any]() Case[T] {
	return Case[T]{
		Op: "deltascan", Name: "known", Tolerance: rounded,
		Make: func(b *Bench[T]) Trial[T] {
			s := delta{B: 1, T: 3, h: 1, c: 1, C: 16}
			taps, inputs := []float32{1, 2, 3, 4}, []float32{1, 10, 100}
			var conv, u, tail []float32
			for range 3 {
				conv, tail = append(conv, taps...), append(tail, 0, 0, 7)
			}
			for _, x := range inputs {
				u = append(u, x, x, x)
			}
			n, d := s.T, 1
			t := deltaTensors[T]{
				u: b.Floats("u", u, n, 3), b: b.All("b", 0.5, n, 1), conv: b.Floats("conv", conv, 3, d, op.ConvTaps),
				gain: b.All("gain", 1, 1), o: b.Stale("o", n, d), state: b.All("state", 0, 1, 1, 1, 1),
				tail: b.Floats("tail", tail, 1, 3, op.ConvTail, d), kqv: b.Stale("kqv", n, 3), read: b.Stale("read", n, d),
			}
			v1, v2, v3 := float32(21+4), float32(14+3+40), float32(7+2+30+400)
			r1 := 0.5 * v1 // key and query are 1, so the memory is a running mean of the values
			r2 := r1 + 0.5*(v2-r1)
			r3 := r2 + 0.5*(v3-r2)
			return Trial[T]{
				Forward: b.program(t.scan(s.C)),
				Outputs: []string{"kqv", "read", "state", "tail", "o"},
				Want: map[string][]float32{
					"kqv": {1, 1, v1, 1, 1, v2, 1, 1, v3}, "read": {r1, r2, r3}, "state": {r3},
					"tail": {1, 10, 100, 1, 10, 100, 1, 10, 100}, "o": {1, 1, 1},
				},
			}
		},
	}
}
