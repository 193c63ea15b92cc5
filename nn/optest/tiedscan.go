package optest

import (
	"fmt"
	"math"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// tied is one tied scan over sequences of a given start.
type tied struct {
	name    string
	B, T, d int
	scan    op.Scan
	fresh   bool // from an empty memory
	starts  bool // keeps the memory before each chunk
}

func (s tied) String() string {
	rule := nn.RuleSequential
	if s.scan.Minibatch {
		rule = nn.RuleMinibatch
	}
	return fmt.Sprintf("%s/%s%d/B%d/T%d/d%d", s.name, rule, s.scan.Chunk, s.B, s.T, s.d)
}

// forward makes the tensors of a scan and the scan itself, from keys f.
func tiedForward[T any](b *Bench[T], s tied, f T) (starts T, forward func(), outputs []string) {
	n, count := s.B*s.T, s.B*s.d*s.d
	before := b.Normal("before", 0.3, s.B, 1, s.d, s.d)
	z, state := b.Stale("z", n, s.d), b.Stale("state", s.B, 1, s.d, s.d)
	outputs = []string{"z", "state"}
	if s.starts {
		starts = b.Stale("starts", s.B, (s.T+s.scan.Chunk-1)/s.scan.Chunk, 1, s.d, s.d)
		outputs = append(outputs, "starts")
	}
	begin := op.Op[T](&op.Copy[T]{Dst: state, Src: before, N: count})
	if s.fresh {
		begin = &op.Zero[T]{X: state}
	}
	return starts, b.program(begin, &op.TiedScan[T]{Z: z, F: f, State: state, Starts: starts, Scan: s.scan}), outputs
}

func tiedCase[T any](s tied, keys func(b *Bench[T]) T) Case[T] {
	if keys == nil {
		keys = func(b *Bench[T]) T { return b.Normal("f", 1, s.B*s.T, s.d) }
	}
	return Case[T]{
		Op: "tiedscan", Name: s.String(), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			_, forward, outputs := tiedForward(b, s, keys(b))
			return Trial[T]{Forward: forward, Outputs: outputs}
		},
	}
}

func tiedBackward[T any](s tied) Case[T] {
	s.starts = true
	s.name = "backward"
	return Case[T]{
		Op: "tiedscan", Name: s.String(), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			f := b.Normal("f", 1, s.B*s.T, s.d)
			starts, forward, outputs := tiedForward(b, s, f)
			dz, df := b.Normal("dz", 1, s.B*s.T, s.d), b.Stale("df", s.B*s.T, s.d)
			return Trial[T]{
				Forward: forward, Outputs: outputs,
				Upstream: []string{"z"},
				Backward: b.program(&op.TiedScanBackward[T]{DF: df, DZ: dz, F: f, Starts: starts, Scan: s.scan}),
				Writes:   []string{"f"},
			}
		},
	}
}

func tiedscanCases[T any]() []Case[T] {
	exactly := func(chunk int, rate float32) op.Scan { return op.Scan{Chunk: chunk, Rate: rate} }
	summedUp := func(chunk int, rate float32) op.Scan { return op.Scan{Chunk: chunk, Minibatch: true, Rate: rate} }
	var cases []Case[T]
	for i, chunk := range []int{1, 7, 16, 64} {
		cases = append(cases,
			tiedCase[T](tied{"random", 1, 50, 8, exactly(chunk, 0.1), false, true}, nil),
			tiedCase[T](tied{"random", 3, 33, 9, exactly(chunk, 1), i%2 == 0, i%2 == 1}, nil),
			tiedCase[T](tied{"random", 1, 70, 64, exactly(chunk, 0.1), true, true}, nil),
			tiedCase[T](tied{"random", 2, 40, 9, summedUp(chunk, 0.02), false, true}, nil),
			tiedCase[T](tied{"one-token", 2, 1, 36, exactly(chunk, 0.1), false, false}, nil),
			repeatedKeys[T](chunk),
			tiedBackward[T](tied{"", 2, 19, 5, exactly(chunk, 0.5), false, true}),
			tiedBackward[T](tied{"", 1, 70, 8, exactly(chunk, 0.1), true, true}),
			tiedBackward[T](tied{"", 2, 19, 5, summedUp(chunk, 0.02), false, true}),
		)
	}
	fill := func(name string, s tied, fill func(b *Bench[T], n, d int) T) Case[T] {
		s.name = "extreme/" + name
		return tiedCase(s, func(b *Bench[T]) T { return fill(b, s.B*s.T, s.d) })
	}
	wide := tied{"", 1, 20, 36, exactly(16, 0.1), false, true}
	return append(cases,
		tiedCase[T](tied{"random", 1, 1, 1, exactly(16, 0.1), true, true}, nil),
		tiedCase[T](tied{"random", 2, 5, 1, exactly(16, 0.1), false, true}, nil),
		tiedCase[T](tied{"random", 1, 17, 75, exactly(16, 0.1), false, false}, nil),
		tiedCase[T](tied{"random", 1, 100, 16, summedUp(32, 0.02), true, false}, nil),
		tiedBackward[T](tied{"", 1, 1, 9, exactly(16, 0.1), false, true}),
		tiedBackward[T](tied{"", 1, 17, 36, exactly(16, 0.1), false, true}),
		tiedBackward[T](tied{"", 1, 40, 64, exactly(16, 0.1), false, true}),
		fill("large", wide, func(b *Bench[T], n, d int) T { return b.Normal("f", 1e15, n, d) }),
		fill("tiny", wide, func(b *Bench[T], n, d int) T { return b.Normal("f", 1e-5, n, d) }),
		fill("zeros", wide, func(b *Bench[T], n, d int) T { return b.All("f", 0, n, d) }),
		tiedKnown[T](), tiedIdle[T](),
		Case[T]{
			Op: "tiedscan", Name: "refuses/state", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				z, f, state := b.Stale("z", 4, 8), b.Normal("f", 1, 4, 8), b.All("state", 0, 2, 1, 9, 9)
				return Trial[T]{Forward: b.program(&op.TiedScan[T]{Z: z, F: f, State: state, Scan: exactly(16, 0.1)})}
			},
		},
		Case[T]{
			Op: "tiedscan", Name: "refuses/backward", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				df, dz, f := b.Stale("df", 4, 8), b.Normal("dz", 1, 4, 7), b.Normal("f", 1, 4, 8)
				starts := b.All("starts", 0, 2, 1, 1, 8, 8)
				return Trial[T]{Forward: b.program(&op.TiedScanBackward[T]{DF: df, DZ: dz, F: f, Starts: starts, Scan: exactly(16, 0.1)})}
			},
		},
		large(tiedCase[T](tied{"random", 1, 512, 64, exactly(16, 0.1), true, false}, nil), 4*(2*512*64+2*64*64*512/16)),
		large(tiedCase[T](tied{"decode", 1, 1, 64, exactly(16, 0.1), true, false}, nil), 4*(2*64+2*64*64)),
		large(tiedBackward[T](tied{"", 16, 128, 64, exactly(16, 0.1), true, true}), 0),
	)
}

// repeatedKeys reads one key 300 times. From an empty memory the prediction is known:
// z_t = (1 − (1 − η‖k‖²)^t)·k. Random keys hide what is unstable here.
func repeatedKeys[T any](chunk int) Case[T] {
	s := tied{"repeated", 1, 300, 9, op.Scan{Chunk: chunk, Rate: 0.5}, true, false}
	return Case[T]{
		Op: "tiedscan", Name: s.String(), Tolerance: scanned,
		Make: func(b *Bench[T]) Trial[T] {
			row, keys := b.Start, make([]float32, 0, s.T*s.d)
			b.Normal("key", 1, s.d)
			for range s.T {
				keys = append(keys, row("key")...)
			}
			_, forward, outputs := tiedForward(b, s, b.Floats("f", keys, s.T, s.d))
			length := 0.0
			for _, x := range row("key") {
				length += float64(x) * float64(x)
			}
			length = math.Sqrt(length)
			want := make([]float32, len(keys))
			for i, x := range keys {
				k := length / (length + 1e-6)
				want[i] = float32((1 - math.Pow(1-float64(s.scan.Rate)*k*k, float64(i/s.d))) * float64(x) / (length + 1e-6))
			}
			return Trial[T]{Forward: forward, Outputs: outputs, Want: map[string][]float32{"z": want}}
		},
	}
}

// tiedKnown is two steps by hand, η = ½: keys (1, 0) and (0.6, 0.8).
func tiedKnown[T any]() Case[T] {
	return Case[T]{
		Op: "tiedscan", Name: "known", Tolerance: rounded,
		Make: func(b *Bench[T]) Trial[T] {
			f, z, state := b.Floats("f", []float32{1000, 0, 600, 800}, 2, 2), b.Stale("z", 2, 2), b.All("state", 0, 1, 1, 2, 2)
			starts := b.Stale("starts", 1, 2, 1, 2, 2)
			return Trial[T]{
				Forward: b.program(&op.TiedScan[T]{Z: z, F: f, State: state, Starts: starts, Scan: op.Scan{Chunk: 1, Rate: 0.5}}),
				Outputs: []string{"z", "state", "starts"},
				Want: map[string][]float32{
					"z":      {0, 0, 0.3, 0},
					"starts": {0, 0, 0, 0, 0.5, 0, 0, 0},
					"state":  {0.5 + 0.5*0.3*0.6, 0.5 * 0.3 * 0.8, 0.5 * 0.8 * 0.6, 0.5 * 0.8 * 0.8},
				},
			}
		},
	}
}

// tiedIdle learns at rate 0: the memory does not change, and answers every key.
func tiedIdle[T any]() Case[T] {
	s := tied{"idle", 2, 20, 8, op.Scan{Chunk: 16}, false, true}
	return Case[T]{
		Op: "tiedscan", Name: s.String(), Tolerance: summed,
		Make: func(b *Bench[T]) Trial[T] {
			_, forward, outputs := tiedForward(b, s, b.Normal("f", 1, s.B*s.T, s.d))
			return Trial[T]{
				Forward: forward, Outputs: outputs,
				Check: func(v Values) error { return exact.compare("state", v("state"), b.Start("before")) },
			}
		},
	}
}
