package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// drawBound is how near to the edge between two tokens, as a share of the probability, rounding can
// move a draw to the other side.
const drawBound = 1e-4

// textRules lists the sampling rules that are compared: each rule alone, and all together.
var textRules = []struct {
	name string
	op.Sampling
}{
	{"greedy", op.Sampling{}},
	{"draw", op.Sampling{Temperature: 1, Seed: 11}},
	{"warm", op.Sampling{Temperature: 1.7, Seed: 12}},
	{"top-k", op.Sampling{Temperature: 1, TopK: 5, Seed: 13}},
	{"top-p", op.Sampling{Temperature: 1, TopP: 0.7, Seed: 14}},
	{"min-p", op.Sampling{Temperature: 1, MinP: 0.3, Seed: 15}},
	{"penalty", op.Sampling{RepeatPenalty: 1.3, Seed: 16}},
	{"all", op.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.9, MinP: 0.05, RepeatPenalty: 1.1, Seed: 17}},
}

// textParity samples text with a seed on the engine and on the reference. The tokens must be the same,
// except where rounding can move a draw across the edge between two tokens.
func (e *Engine[T]) textParity(s *suite, add func(Parity)) {
	for _, mixer := range s.mixers() {
		for i, p := range textRules {
			row := Parity{
				Key:   textParityPath(mixer, p.name),
				Bound: fmt.Sprintf("the same tokens, but for draws within %.0e of an edge", drawBound),
			}
			if !s.wants(row.Key) {
				continue
			}
			r := rand.New(rand.NewPCG(uint64(i), 9))
			for range max(s.preset.models/6, 1) {
				c := randomConfig(r, mixer)
				c.Vocab = max(c.Vocab, 100) // every rule would keep the same of a few tokens
				if err := e.compareText(&row, r, c, p.Sampling, 100); err != nil {
					row.fail("%v", err)
				}
			}
			add(row)
		}
	}
}

// compareText writes text on both. After a difference that rounding explains, the reference continues
// from the engine's token.
func (e *Engine[T]) compareText(row *Parity, r *rand.Rand, c nn.Config, p op.Sampling, length int) error {
	row.Cases++
	weights := train.InitialWeights(c, r.Uint64())
	prompt := randomTokens(r, c.Vocab, 5)
	what := fmt.Sprintf("width %d, %d layers, vocabulary %d", c.Width, c.Layers, c.Vocab)

	var got []uint32
	err := withSession(e.Ops, c, weights, func(s *nn.Session[T]) error {
		if err := s.Forward(prompt); err != nil {
			return err
		}
		return s.Generate(length, p, func(ids []uint32) bool {
			got = append(got, ids[0])
			return true
		})
	})
	if err != nil {
		return err
	}
	return withSession(cpu.NewScalar[float64](), c, weights, func(s *nn.Session[*cpu.Tensor[float64]]) error {
		if err := s.Forward(prompt); err != nil {
			return err
		}
		logits := make([]float32, c.Vocab)
		for i, id := range got {
			if err := s.Logits(logits); err != nil {
				return err
			}
			row.Numbers++
			row.TopTokens++
			want, distance := nearest(p, logits, append(slices.Clone(prompt), got[:i]...), uint32(i), id)
			if want == id {
				row.TopEqual++
			} else if row.OfBound = max(row.OfBound, min(distance/drawBound, notFiniteError)); distance > drawBound {
				row.fail("%s: token %d of the text: got %d, want %d, %.2g away from an edge", what, i, id, want, distance)
			}
			if err := s.Forward([]uint32{id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// withSession runs do on a session of one sequence.
func withSession[T any](ops op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], do func(*nn.Session[T]) error) error {
	m, err := nn.NewModel(ops, c, w)
	if err != nil {
		return err
	}
	defer m.Release()
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}

// nearest returns the token that draw number n takes from the logits, given the tokens before, and how far, as a share of a logit
// or of the probability, it is from taking another: because the draw is close to an edge, or because a rule almost keeps one token
// more or less.
func nearest(p op.Sampling, logits []float32, before []uint32, n, other uint32) (want uint32, distance float64) {
	l := penalised(p, logits, before)
	best := 0
	for i, x := range l {
		if x > l[best] {
			best = i
		}
	}
	if p.Temperature == 0 {
		return uint32(best), (l[best] - l[other]) / max(math.Abs(l[best]), 1e-6)
	}
	u := float64(op.Uniform(p.Seed, n))
	want, distance = inverse(l, threshold(p, l, 0), float64(p.Temperature), u, other)
	for _, slack := range []float64{-drawBound, drawBound} {
		_, d := inverse(l, threshold(p, l, slack), float64(p.Temperature), u, other)
		distance = min(distance, d)
	}
	return want, distance
}

// penalised returns the logits after the repeat penalty.
func penalised(p op.Sampling, logits []float32, before []uint32) []float64 {
	l := make([]float64, len(logits))
	for i, x := range logits {
		l[i] = float64(x)
	}
	if p.RepeatPenalty == 0 {
		return l
	}
	recent := slices.Clone(before[max(len(before)-op.RecentWindow, 0):])
	slices.Sort(recent)
	for _, id := range slices.Compact(recent) {
		if l[id] > 0 {
			l[id] /= float64(p.RepeatPenalty)
		} else {
			l[id] *= float64(p.RepeatPenalty)
		}
	}
	return l
}

// threshold returns the smallest logit that all rules keep, when each of them is relaxed by a share `slack`.
func threshold(p op.Sampling, l []float64, slack float64) float64 {
	order := slices.Clone(l)
	slices.Sort(order)
	slices.Reverse(order)
	best, limit := order[0], math.Inf(-1)
	lower := func(x float64) float64 { return x - slack*max(math.Abs(x), math.Abs(best)) }
	if p.TopK > 0 && p.TopK < len(order) {
		limit = lower(order[p.TopK-1])
	}
	if p.TopP > 0 {
		total, sum := 0.0, 0.0
		for _, x := range order {
			if x >= limit {
				total += math.Exp(x - best)
			}
		}
		for _, x := range order {
			if sum += math.Exp(x - best); sum >= float64(p.TopP)*(1+slack)*total {
				limit = max(limit, lower(x))
				break
			}
		}
	}
	if p.MinP > 0 {
		limit = max(limit, lower(best+math.Log(float64(p.MinP))))
	}
	return limit
}

// inverse returns the token at u in the cumulative distribution of the logits of at least limit, and the distance of u from the
// next token's share: 1 if there is no other.
func inverse(l []float64, limit, temperature, u float64, other uint32) (want uint32, distance float64) {
	best := slices.Max(l)
	weight := func(x float64) float64 {
		if x < limit {
			return 0
		}
		return math.Exp((x - best) / temperature)
	}
	total := 0.0
	for _, x := range l {
		total += weight(x)
	}
	sum, found := 0.0, false
	distance = 1
	for i, x := range l {
		w := weight(x)
		if w == 0 {
			continue
		}
		low := sum / total
		sum += w
		high := sum / total
		if !found {
			want, found = uint32(i), high > u // the last of them, should rounding leave none
		}
		if i == int(other) {
			distance = max(low-u, u-high, 0)
		}
	}
	return want, distance
}
