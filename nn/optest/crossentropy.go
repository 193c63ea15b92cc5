package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

func crossentropyCases[T any]() []Case[T] {
	// dlogits holds the logits until their gradient replaces them.
	entropy := func(name string, m, V, n, from int, scale float32, fill func(b *Bench[T]) T, check func(b *Bench[T], v Values) error) Case[T] {
		return Case[T]{
			Op: "crossentropy", Name: fmt.Sprintf("%s/m%d/V%d/n%d/from%d", name, m, V, n, from), Tolerance: summed,
			Make: func(b *Bench[T]) Trial[T] {
				logits, targets, start := fill(b), b.Tokens("targets", V, n), b.All("start", 2, 1)
				loss, dlogits := b.Stale("loss", 1), b.Stale("dlogits", m, V)
				b.All("dloss", 1, 1)
				t := Trial[T]{
					Forward: b.program(
						&op.Copy[T]{Dst: loss, Src: start, N: 1},
						&op.Copy[T]{Dst: dlogits, Src: logits, N: m * V},
						&op.CrossEntropy[T]{Loss: loss, Logits: dlogits, Targets: targets, From: from, Scale: scale},
					),
					Outputs:  []string{"loss"},
					Upstream: []string{"loss"},
					Writes:   []string{"logits"},
				}
				if check != nil {
					t.Check = func(v Values) error { return check(b, v) }
				}
				return t
			},
		}
	}
	normal := func(std float64, m, V int) func(b *Bench[T]) T {
		return func(b *Bench[T]) T { return b.Normal("logits", std, m, V) }
	}
	sumsToZero := func(m, V int) func(b *Bench[T], v Values) error {
		return func(_ *Bench[T], v Values) error {
			for i := range m {
				sum := 0.0
				for _, d := range v("dlogits")[i*V : (i+1)*V] {
					sum += float64(d)
				}
				if math.Abs(sum) > 1e-5 {
					return fmt.Errorf("row %d: the gradient sums to %v, want 0", i, sum)
				}
			}
			return nil
		}
	}
	var cases []Case[T]
	for _, m := range []int{1, 2, 5, 8, 33} {
		cases = append(cases, entropy("random", m, 300, m, 0, 1/float32(m), normal(2, m, 300), sumsToZero(m, 300)))
	}
	return append(cases,
		entropy("random", 3, 1, 3, 0, 1, normal(1, 3, 1), sumsToZero(3, 1)),
		entropy("random", 4, 9, 12, 7, 0.25, normal(1, 4, 9), sumsToZero(4, 9)),
		entropy("random", 2, 1025, 2, 0, 0.5, normal(3, 2, 1025), sumsToZero(2, 1025)),
		// Uniform: log V each, beside the 2 that is there.
		entropy("uniform", 4, 36, 4, 0, 0.25, func(b *Bench[T]) T { return b.All("logits", -7, 4, 36) }, func(_ *Bench[T], v Values) error {
			return rounded.compare("loss", v("loss"), []float32{float32(2 + math.Log(36))})
		}),
		entropy("extreme/large", 3, 36, 3, 0, 1, normal(1e3, 3, 36), sumsToZero(3, 36)),
		entropy("extreme/shifted", 3, 36, 3, 0, 1, func(b *Bench[T]) T { return b.Near("logits", 1024, 1, 3, 36) }, sumsToZero(3, 36)),
		entropy("extreme/zeros", 3, 36, 3, 0, 1, func(b *Bench[T]) T { return b.All("logits", 0, 3, 36) }, sumsToZero(3, 36)),
		Case[T]{
			Op: "crossentropy", Name: "known", Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] { // probabilities ½ ¼ ¼, target the first
				loss, targets := b.All("loss", 0, 1), b.IDs("targets", []uint32{2, 0}, 2)
				logits := b.Floats("logits", []float32{float32(math.Log(2)), 0, 0}, 1, 3)
				return Trial[T]{
					Forward: b.program(&op.CrossEntropy[T]{Loss: loss, Logits: logits, Targets: targets, From: 1, Scale: 2}),
					Outputs: []string{"loss", "logits"},
					Want:    map[string][]float32{"loss": {2 * float32(math.Log(2))}, "logits": {-1, 0.5, 0.5}},
				}
			},
		},
		Case[T]{
			Op: "crossentropy", Name: "no target", Tolerance: rounded,
			Make: func(b *Bench[T]) Trial[T] { // the row between two that count is not looked at
				loss, targets := b.All("loss", 1, 1), b.IDs("targets", []uint32{0, op.NoTarget, 1}, 3)
				half := float32(math.Log(2))
				logits := b.Floats("logits", []float32{half, 0, 0, 5, 6, 7, 0, half, 0}, 3, 3)
				return Trial[T]{
					Forward: b.program(&op.CrossEntropy[T]{Loss: loss, Logits: logits, Targets: targets, Scale: 1}),
					Outputs: []string{"loss", "logits"},
					Want:    map[string][]float32{"loss": {1 + 2*half}, "logits": {-0.5, 0.25, 0.25, 0, 0, 0, 0.25, -0.5, 0.25}},
				}
			},
		},
		Case[T]{
			Op: "crossentropy", Name: "refuses/loss", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				loss, targets, logits := b.All("loss", 0, 2), b.Tokens("targets", 9, 3), b.Normal("logits", 1, 3, 9)
				return Trial[T]{Forward: b.program(&op.CrossEntropy[T]{Loss: loss, Logits: logits, Targets: targets, Scale: 1})}
			},
		},
		large(entropy("random", 256, 4096, 256, 0, 1.0/256, normal(2, 256, 4096), nil), 4*2*256*4096),
	)
}
