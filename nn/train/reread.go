package train

import (
	"fmt"
	"math"

	"bitgpu/nn"
)

// Reread compares how well passages of one length were predicted when read for the first time, when read again, and for the
// first time after something else, by the mean loss in nats per token over all tokens but the first.
type Reread struct {
	Length   int     `json:"length"` // tokens per passage
	Passages int     `json:"passages"`
	First    float64 `json:"first"`         // with an empty memory
	Again    float64 `json:"again"`         // right after the first reading: lower if the memory has kept something of the passage
	After    float64 `json:"after_another"` // for the first time, after another passage: higher if that one disturbs
}

// MeasureReread reads passages that are evenly spaced in the tokens and do not overlap; "another" passage is always the next
// one. At least two passages of two tokens are required. The error is [nn.ErrContext] for passages longer than the model's
// context, or [nn.ErrNotFinite].
func MeasureReread[T any](m *nn.Model[T], tokens Tokens, passages, length int) (Reread, error) {
	r := Reread{Length: length, Passages: passages}
	if passages < 2 || length < 2 {
		return r, fmt.Errorf("reread: got %d passages of %d tokens, want 2 or more of 2 or more", passages, length)
	}
	if most := tokens.Len() / length; passages > most {
		return r, fmt.Errorf("reread: %d tokens hold %d passages of %d tokens, want %d", tokens.Len(), most, length, passages)
	}
	s, err := m.NewSession(1, m.Config.DefaultScan())
	if err != nil {
		return r, err
	}
	defer s.Close()
	all := make([][]uint32, passages)
	for i := range all {
		all[i] = make([]uint32, length)
		if _, err := tokens.CopyTo(all[i], i*(tokens.Len()/passages)); err != nil {
			return r, fmt.Errorf("reread: %w", err)
		}
	}
	passage := func(i int) []uint32 { return all[i%passages] }
	for i := range passages {
		for _, readings := range []struct {
			before []uint32
			losses []*float64 // of the passage, for one or more readings in a row
		}{{nil, []*float64{&r.First, &r.Again}}, {passage(i + 1), []*float64{&r.After}}} {
			s.Reset()
			if err := s.Forward(readings.before); err != nil {
				return r, err
			}
			for _, loss := range readings.losses {
				nats, err := readNats(s, passage(i), m.Config.Vocab)
				if err != nil {
					return r, err
				}
				*loss += nats / float64(passages*(length-1))
			}
		}
	}
	return r, nil
}

// readNats reads tokens and returns Σ −log p(token) for all but the first.
func readNats[T any](s *nn.Session[T], tokens []uint32, vocab int) (nats float64, err error) {
	err = s.ForwardAll(tokens, func(from int, logits []float32) error {
		for ; len(logits) > 0 && from+1 < len(tokens); from, logits = from+1, logits[vocab:] {
			nats += surprise(logits[:vocab], tokens[from+1])
		}
		return nil
	})
	if err == nil && (math.IsNaN(nats) || math.IsInf(nats, 0)) {
		err = fmt.Errorf("reread: the loss is not finite")
	}
	return nats, err
}

// surprise returns −log of a token's probability.
func surprise(logits []float32, token uint32) float64 { return logSum(logits) - float64(logits[token]) }

// logSum returns log Σ eˡ.
func logSum(logits []float32) float64 {
	largest, sum := math.Inf(-1), 0.0
	for _, l := range logits {
		largest = max(largest, float64(l))
	}
	for _, l := range logits {
		sum += math.Exp(float64(l) - largest)
	}
	return largest + math.Log(sum)
}
