package train

import (
	"fmt"
	"math"

	"bitgpu/nn"
)

// Reread is how well passages of one length were predicted when they were read for the first time, again, and for the first
// time after something else: the mean loss, nats a token, of all tokens of a passage but its first.
type Reread struct {
	Length   int     `json:"length"` // tokens of a passage
	Passages int     `json:"passages"`
	First    float64 `json:"first"`         // from an empty memory
	Again    float64 `json:"again"`         // right after the first reading: lower by what the memory has kept of the passage
	After    float64 `json:"after_another"` // for the first time, after another passage: higher by what that one disturbs
}

// MeasureReread reads passages that lie evenly in the tokens and do not overlap; another passage is always the next one.
// Two passages are needed, of two tokens or more. The error is [nn.ErrContext] for passages longer than the model's context, or
// [nn.ErrNotFinite].
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
			losses []*float64 // of the passage, once or more often in a row
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

// readNats reads tokens and gives Σ −log p(token) of all but the first.
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

// surprise is −log of a token's probability.
func surprise(logits []float32, token uint32) float64 { return logSum(logits) - float64(logits[token]) }

// logSum is log Σ eˡ.
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
