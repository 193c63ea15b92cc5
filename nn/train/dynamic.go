package train

import (
	"bitgpu/io/corpus"

	"errors"
	"fmt"

	"bitgpu/nn"
)

// EvaluateDynamic predicts every token but the first, and learns while it reads (dynamic evaluation, arXiv 1709.07432): it
// reads rows of T tokens in order, each with an empty memory, measures the loss of a row, and then takes one training step on
// it with the given rate. It trains what the trainer trains, which is the adapter if the model has one. stop, optional, is
// called between rows.
func EvaluateDynamic(e Trainer, tokens Tokens, rate float64, stop func() bool) (Evaluation, error) {
	var total Evaluation
	s := e.Shape()
	if s.TokensPerStep() != s.Time {
		return total, fmt.Errorf("dynamic evaluation: got steps of %d × %d rows, want one row a step", s.Accumulate, s.Batch)
	}
	if tokens.Len() < 2 {
		return total, fmt.Errorf("dynamic evaluation: got %d tokens, want 2 or more", tokens.Len())
	}
	row := make([]uint32, s.Time+1)
	for at := 0; at+1 < tokens.Len() && (stop == nil || !stop()); at += s.Time {
		n, err := tokens.CopyTo(row, at)
		if err != nil {
			return total, fmt.Errorf("dynamic evaluation: %w", err)
		}
		got, err := e.Evaluate(corpus.IDs(row[:n]), nil)
		var ran *nn.NotFiniteError
		if errors.As(err, &ran) {
			err = ran
		}
		if err != nil {
			return total, fmt.Errorf("dynamic evaluation: the row from token %d on: %w", at+1, err)
		}
		total.Tokens, total.Nats, total.Correct = total.Tokens+got.Tokens, total.Nats+got.Nats, total.Correct+got.Correct
		if n < len(row) {
			break
		}
		e.Step(rate, row[:s.Time], row[1:])
		if _, err := e.Results(); err != nil {
			return total, err
		}
	}
	return total, nil
}
