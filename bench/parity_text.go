package bench

import (
	"fmt"
	"math"
	"math/rand/v2"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/train"
)

// drawBound is how near to the edge between two tokens, as a share of the probability, a draw must
// lie to fall on either side by rounding.
const drawBound = 1e-4

// textParity samples text with a seed on the engine and on the reference: the same tokens, but
// where a draw lies within rounding of the edge between two.
func (e *Engine[T]) textParity(s *suite, add func(Parity)) {
	samplings := []struct {
		name string
		nn.Sampling
	}{
		{"greedy", nn.Sampling{}},
		{"draw", nn.Sampling{Temperature: 1, Seed: 11}},
		{"warm", nn.Sampling{Temperature: 1.7, Seed: 12}},
	}
	for _, mixer := range s.mixers() {
		for i, p := range samplings {
			row := Parity{
				Key:   fmt.Sprintf("parity/text/%s/%s", mixer, p.name),
				Bound: fmt.Sprintf("the same tokens, but for draws within %.0e of an edge", drawBound),
			}
			if !s.wants(row.Key) {
				continue
			}
			r := rand.New(rand.NewPCG(uint64(i), 9))
			for range max(s.effort.models/6, 1) {
				c := randomConfig(r, mixer)
				if err := e.compareText(&row, r, c, p.Sampling, 100); err != nil {
					row.fail("%v", err)
				}
			}
			add(row)
		}
	}
}

// compareText writes text on both. After a difference that rounding explains, the reference goes
// on from the engine's token.
func (e *Engine[T]) compareText(row *Parity, r *rand.Rand, c nn.Config, p nn.Sampling, length int) error {
	row.Cases++
	weights := train.InitialWeights(c, r.Uint64())
	prompt := randomTokens(r, c.Vocab, 5)
	what := fmt.Sprintf("width %d, %d layers, vocabulary %d", c.Width, c.Layers, c.Vocab)

	var got []uint32
	err := withSession(e.Ops, c, weights, func(s *nn.Session[T]) error {
		if err := s.Read(prompt); err != nil {
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
		if err := s.Read(prompt); err != nil {
			return err
		}
		logits := make([]float32, c.Vocab)
		for i, id := range got {
			if err := s.Logits(logits); err != nil {
				return err
			}
			row.Numbers++
			row.TopTokens++
			want, distance := nearest(p, logits, uint32(i), id)
			if want == id {
				row.TopEqual++
			} else if row.OfBound = max(row.OfBound, min(distance/drawBound, notFiniteError)); distance > drawBound {
				row.fail("%s: token %d of the text: %d wanted, %d found, %.2g away from an edge", what, i, want, id, distance)
			}
			if err := s.Read([]uint32{id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// withSession runs do on a session of one sequence.
func withSession[T any](ops nn.Ops[T], c nn.Config, w *nn.Weights[nn.HostTensor], do func(*nn.Session[T]) error) error {
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

// nearest is the token that draw number n takes from logits, and how far, as a share of the
// probability, it is from taking another one instead.
func nearest(p nn.Sampling, logits []float32, n, other uint32) (want uint32, distance float64) {
	best := argmax(logits)
	if p.Temperature == 0 {
		top := float64(logits[best])
		return uint32(best), (top - float64(logits[other])) / max(math.Abs(top), 1e-6)
	}
	weight := func(i int) float64 { return math.Exp(float64((logits[i] - logits[best]) / p.Temperature)) }
	total := 0.0
	for i := range logits {
		total += weight(i)
	}
	u, sum := float64(nn.Uniform(p.Seed, n)), 0.0
	want = uint32(len(logits) - 1)
	found := false
	for i := range logits {
		low := sum / total
		sum += weight(i)
		if high := sum / total; !found && high > u {
			want, found = uint32(i), true
		}
		if i == int(other) {
			distance = max(low-u, u-sum/total, 0)
		}
	}
	return want, distance
}
