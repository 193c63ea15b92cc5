package optest

import (
	"fmt"
	"math"
	"slices"

	"bitgpu/nn/op"
)

// Distribution is the definition of op.Sampling, as plainly as possible: the probability of each token
// after the given recent ones (RecentSize). margin is the distance of the closest decision on which
// tokens take part from being the opposite.
func Distribution(s op.Sampling, logits []float32, recent []uint32) (p []float64, margin float64) {
	l := make([]float64, len(logits))
	seen := recent[op.RecentRing:][:min(recent[op.RecentPushed], op.RecentWindow)]
	for i, x := range logits {
		if s.RepeatPenalty != 0 && slices.Contains(seen, uint32(i)) {
			if x > 0 {
				x /= s.RepeatPenalty
			} else {
				x *= s.RepeatPenalty
			}
			x = min(max(x, -math.MaxFloat32), math.MaxFloat32)
		}
		l[i] = float64(x)
	}
	p, margin = make([]float64, len(l)), math.Inf(1)
	best := slices.Max(l)
	if s.Temperature == 0 {
		p[slices.Index(l, best)] = 1
		return p, margin
	}
	keep := make([]bool, len(l))
	filter := func(stays func(x float64) (bool, float64)) {
		kept := slices.Clone(keep)
		for i, x := range l {
			stay, distance := stays(x)
			kept[i] = keep[i] && stay
			margin = min(margin, distance)
		}
		keep = kept
	}
	// above sums the probabilities of the remaining tokens that are more probable than x.
	above := func(x float64, weight func(float64) float64) (sum float64) {
		for i, y := range l {
			if keep[i] && y > x {
				sum += weight(y)
			}
		}
		return sum
	}
	for i := range keep {
		keep[i] = true
	}
	weight := func(x float64) float64 { return math.Exp(x - best) }
	if s.TopK > 0 {
		sorted := slices.Sorted(slices.Values(l))
		filter(func(x float64) (bool, float64) {
			distance := math.Inf(1)
			if edge := sorted[max(0, len(sorted)-s.TopK)]; x != edge {
				distance = math.Abs(x - edge)
			}
			return above(x, func(float64) float64 { return 1 }) < float64(s.TopK), distance
		})
	}
	if s.TopP > 0 && s.TopP < 1 {
		goal := float64(s.TopP) * above(math.Inf(-1), weight)
		filter(func(x float64) (bool, float64) {
			sum := above(x, weight)
			return sum < goal, math.Abs(sum - goal)
		})
	}
	if s.MinP > 0 {
		edge := best + math.Log(float64(s.MinP))
		filter(func(x float64) (bool, float64) { return x >= edge, math.Abs(x - edge) })
	}
	total := 0.0
	for i, x := range l {
		if keep[i] {
			p[i] = math.Exp((x - best) / float64(s.Temperature))
			total += p[i]
		}
	}
	for i := range p {
		p[i] /= total
	}
	return p, margin
}

// Drawn returns the token that u in [0, 1) draws from a distribution by the inverse of its cumulative
// sum, and the distance of u from drawing another.
func Drawn(p []float64, u float64) (id uint32, margin float64) {
	sum := 0.0
	margin = math.Inf(1)
	found := false
	for i, x := range p {
		if x == 0 {
			continue
		}
		if sum > 0 {
			margin = min(margin, math.Abs(u-sum))
		}
		if sum += x; !found {
			id, found = uint32(i), sum > u
		}
	}
	return id, margin
}

// sampling is a number of draws for each row of logits (B, V).
type sampling struct {
	name           string
	B, V, K, draws int
	p              op.Sampling
	pushed         int // tokens that are recent before
}

// settled computes the draws by their definition on the host, and reports whether rounding cannot turn
// any of them into another token.
func (s sampling) settled(logits []float32, recent []uint32) (next, out []uint32, ok bool) {
	next, out = make([]uint32, s.B), make([]uint32, s.B*s.K)
	for b := range s.B {
		row := recent[b*op.RecentSize : (b+1)*op.RecentSize]
		for range s.draws {
			n := row[op.RecentSampled]
			p, filtered := Distribution(s.p, logits[b*s.V:(b+1)*s.V], row)
			id, drawn := Drawn(p, float64(op.Uniform(s.p.Seed, n)))
			if s.p.Temperature > 0 && min(filtered, drawn) < 2e-5 {
				return nil, nil, false
			}
			op.Push(row, id)
			row[op.RecentSampled]++
			next[b], out[b*s.K+int(n)%s.K] = id, id
		}
	}
	return next, out, true
}

// sampleCase takes the first seed whose draws are settled.
func sampleCase[T any](s sampling, fill func(b *Bench[T]) T) Case[T] {
	return Case[T]{
		Op: "sample", Name: fmt.Sprintf("%s/B%d/V%d/draws%d", s.name, s.B, s.V, s.draws), Tolerance: exact,
		Make: func(b *Bench[T]) Trial[T] {
			logits := fill(b)
			recent, r := make([]uint32, s.B*op.RecentSize), b.random("recent")
			for row := range s.B {
				for range s.pushed {
					op.Push(recent[row*op.RecentSize:], uint32(r.IntN(s.V)))
				}
				recent[row*op.RecentSize+op.RecentSampled] = uint32(row)
			}
			start := slices.Clone(recent)
			next, out, ok := s.settled(b.Start("logits"), recent)
			p := s.p
			for !ok {
				p.Seed++
				s.p.Seed = p.Seed
				copy(recent, start)
				next, out, ok = s.settled(b.Start("logits"), recent)
			}
			tNext, tOut := b.IDs("next", make([]uint32, s.B), s.B), b.IDs("out", make([]uint32, s.B*s.K), s.B, s.K)
			tRecent := b.IDs("recent", start, s.B, op.RecentSize)
			rules := b.Rules("rules", p, s.B)
			var draws op.Program[T]
			for range s.draws {
				draws.Add(&op.Sample[T]{Next: tNext, Out: tOut, Recent: tRecent, Rules: rules, Logits: logits})
			}
			return Trial[T]{
				Forward: b.program(draws...),
				Outputs: []string{"next", "out", "recent", "logits"},
				Want: map[string][]float32{
					"next": fromIDs(next), "out": fromIDs(out), "recent": fromIDs(recent), "logits": b.Start("logits"),
				},
			}
		},
	}
}

func sampleCases[T any]() []Case[T] {
	normal := func(std float64, B, V int) func(b *Bench[T]) T {
		return func(b *Bench[T]) T { return b.Normal("logits", std, B, V) }
	}
	random := func(name string, pushed int, p op.Sampling) Case[T] {
		p.Seed += 1 << 40 // both halves of the seed count
		return sampleCase(sampling{name, 3, 75, 4, 10, p, pushed}, normal(2, 3, 75))
	}
	given := func(name string, p op.Sampling, logits []float32) Case[T] {
		return sampleCase(sampling{name, 1, len(logits), 1, 5, p, 0}, func(b *Bench[T]) T { return b.Floats("logits", logits, 1, len(logits)) })
	}
	return []Case[T]{
		random("greedy", 0, op.Sampling{}),
		random("greedy-penalty", 70, op.Sampling{RepeatPenalty: 1.5}),
		random("temperature", 0, op.Sampling{Temperature: 1}),
		random("cool", 0, op.Sampling{Temperature: 0.5, Seed: 7}),
		random("hot", 0, op.Sampling{Temperature: 3, Seed: 8}),
		random("top-k", 0, op.Sampling{Temperature: 1, TopK: 5}),
		random("top-k-all", 0, op.Sampling{Temperature: 1, TopK: 75}),
		random("top-p", 0, op.Sampling{Temperature: 1, TopP: 0.7}),
		random("min-p", 0, op.Sampling{Temperature: 1, MinP: 0.1}),
		random("penalty", 3, op.Sampling{Temperature: 1, RepeatPenalty: 1.3}),
		random("penalty-full-window", 64, op.Sampling{Temperature: 1, RepeatPenalty: 2}),
		random("reward", 20, op.Sampling{Temperature: 1, RepeatPenalty: 0.5}),
		random("all", 70, op.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1}),
		sampleCase(sampling{"wide", 1, 1025, 1, 3, op.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95}, 0}, normal(1, 1, 1025)),
		sampleCase(sampling{"narrow", 2, 1, 2, 3, op.Sampling{Temperature: 1, TopP: 0.5, TopK: 1, RepeatPenalty: 2}, 1}, normal(1, 2, 1)),
		given("known/greedy-tie", op.Sampling{}, []float32{1, 3, 2, 3, 3}),
		given("known/greedy-negative", op.Sampling{}, []float32{-5, -3, -4}),
		given("known/top-k-1-is-greedy", op.Sampling{Temperature: 5, TopK: 1}, []float32{1, 1.5, 2, 1.75}),
		given("known/ties-stay", op.Sampling{Temperature: 1, TopK: 2}, []float32{1, 3, 3, 3, 2}),
		given("known/top-p-of-equals", op.Sampling{Temperature: 1, TopP: 0.1}, []float32{0, 0, 0, 0}),
		given("extreme/certain", op.Sampling{Temperature: 1}, []float32{0, 1e4, 0, -1e4}),
		given("extreme/zeros", op.Sampling{Temperature: 1}, make([]float32, 36)),
		given("extreme/penalty", op.Sampling{Temperature: 1, RepeatPenalty: 1e-38}, []float32{1, 5, -3, 4}),
		given("extreme/largest", op.Sampling{Temperature: 1}, []float32{math.MaxFloat32, -math.MaxFloat32, 0, math.MaxFloat32}),
		notFinite[T](),
		given("extreme/far", op.Sampling{Temperature: 1, TopP: 0.9, MinP: 0.01}, []float32{-1e30, 5, 1e-30, 4, -50}),
		frequencies[T](),
		{
			Op: "sample", Name: "refuses/recent", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				logits, next := b.Normal("logits", 1, 2, 9), b.IDs("next", make([]uint32, 2), 2)
				out, recent := b.IDs("out", make([]uint32, 2), 2, 1), b.IDs("recent", make([]uint32, op.RecentSize), 1, op.RecentSize)
				return Trial[T]{Forward: b.program(&op.Sample[T]{Next: next, Out: out, Recent: recent, Rules: b.Rules("rules", op.Sampling{}, 2), Logits: logits})}
			},
		},
		large(sampleCase(sampling{"greedy", 1, 16384, 1, 1, op.Sampling{}, 0}, normal(1, 1, 16384)), 4*16384),
		large(sampleCase(sampling{"usual", 1, 16384, 1, 1, op.Sampling{Temperature: 0.8}, 0}, normal(1, 1, 16384)), 4*16384),
		large(sampleCase(sampling{"filtered", 1, 16384, 1, 1, op.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95}, 0}, normal(1, 1, 16384)), 4*16384),
	}
}

// notFinite has one logit that is not finite in each row but the last, at every place that a thread may read
// first or last, with each way to draw.
func notFinite[T any]() Case[T] {
	return Case[T]{
		Op: "sample", Name: "not-finite", Tolerance: exact,
		Make: func(b *Bench[T]) Trial[T] {
			const V, K = 300, 2
			var all []float32
			for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0} {
				for _, at := range []int{0, 1, 63, 64, 255, 256, V - 1} {
					row := make([]float32, V)
					row[7], row[at] = 2, float32(x)
					all = append(all, row...)
				}
			}
			B := len(all) / V
			recent := make([]uint32, B*op.RecentSize)
			for i := range B {
				for id := range uint32(V) {
					op.Push(recent[i*op.RecentSize:], id)
				}
			}
			rules := []op.Sampling{{}, {Temperature: 1, Seed: 1}, {Temperature: 1, TopK: 3}, {Temperature: 1, TopP: 0.5}, {Temperature: 1, MinP: 0.1},
				{RepeatPenalty: 2}, {Temperature: 1, TopK: 3, TopP: 0.5, MinP: 0.1, RepeatPenalty: 2}}
			logits := b.Floats("logits", all, B, V)
			next := b.IDs("next", make([]uint32, len(rules)*B), len(rules), B)
			out := b.IDs("out", make([]uint32, len(rules)*B*K), len(rules), B*K)
			one, two := b.IDs("one", make([]uint32, B), B), b.IDs("two", make([]uint32, B*K), B, K)
			past := b.IDs("recent", recent, B, op.RecentSize)
			var p op.Program[T]
			for i, s := range rules {
				p.Add(
					&op.Sample[T]{Next: one, Out: two, Recent: past, Rules: b.Rules(fmt.Sprint("rules", i), s, B), Logits: logits},
					&op.Copy[T]{Dst: next, DstOffset: i * B, Src: one, N: B},
					&op.Copy[T]{Dst: out, DstOffset: i * B * K, Src: two, N: B * K},
				)
			}
			return Trial[T]{
				Forward: b.program(p...),
				Outputs: []string{"next", "out"},
				Check: func(v Values) error {
					for i, p := range rules {
						for row := range B {
							next, out := v("next")[i*B+row], v("out")[(i*B+row)*K+i%K]
							finite := op.FirstNotFinite(all[row*V:(row+1)*V]) < 0
							switch {
							case finite && (out != next || out >= V):
								return fmt.Errorf("%+v, row %d: got %v and %v, want a token", p, row, next, out)
							case !finite && (out != float32(op.NotFinite) || next != 0):
								return fmt.Errorf("%+v, row %d: got %v and %v, want 0 and %v", p, row, next, out, op.NotFinite)
							}
						}
					}
					return nil
				},
			}
		},
	}
}

// frequencies draws once from each of many equal rows, each at another place of the stream, and
// compares how often each token comes with its probability (Pearson's χ², 7 degrees of freedom).
func frequencies[T any]() Case[T] {
	return Case[T]{
		Op: "sample", Name: "frequencies", Tolerance: exact,
		Make: func(b *Bench[T]) Trial[T] {
			const B, V = 1024, 8
			row := []float32{0, 0.5, 1, 1.5, 2, -0.5, 0.25, 1.25}
			var all []float32
			recent := make([]uint32, B*op.RecentSize)
			for i := range B {
				all = append(all, row...)
				recent[i*op.RecentSize+op.RecentSampled] = uint32(i)
			}
			logits, past := b.Floats("logits", all, B, V), b.IDs("recent", recent, B, op.RecentSize)
			next, out := b.IDs("next", make([]uint32, B), B), b.IDs("out", make([]uint32, B), B, 1)
			p := op.Sampling{Temperature: 1, Seed: 1}
			return Trial[T]{
				Forward: b.program(&op.Sample[T]{Next: next, Out: out, Recent: past, Rules: b.Rules("rules", p, B), Logits: logits}),
				Outputs: []string{"next"},
				Check: func(v Values) error {
					counts := make([]float64, V)
					for _, id := range v("next") {
						counts[int(id)]++
					}
					expected, _ := Distribution(p, row, recent)
					chi := 0.0
					for i := range counts {
						d := counts[i] - B*expected[i]
						chi += d * d / (B * expected[i])
					}
					if chi > 24.3 { // exceeded once in a thousand
						return fmt.Errorf("χ² = %v, want below 24.3; counts %v", chi, counts)
					}
					return nil
				},
			}
		},
	}
}
