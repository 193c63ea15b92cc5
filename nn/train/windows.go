package train

import (
	"fmt"
	"math"
	"sync"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// EvaluateWindows is Evaluator.Evaluate for models of any family, by a session: windows of so many tokens one after the other, each
// from an empty memory. Every token but the first is predicted. stop, optional, is asked between windows.
func EvaluateWindows[T any](m *nn.Model[T], tokens Tokens, window int, stop func() bool) (Evaluation, error) {
	var total Evaluation
	if tokens.Len() < 2 || window < 1 {
		return total, fmt.Errorf("evaluation: got %d tokens in windows of %d, want 2 or more in windows of 1 or more", tokens.Len(), window)
	}
	s, err := m.NewSession(1, m.Config.DefaultScan())
	if err != nil {
		return total, err
	}
	defer s.Close()
	vocab := m.Config.Vocab
	if rows, ok := tokens.(Rows); ok {
		err := windowRows(s, rows, window, vocab, &total, stop)
		return total, err
	}
	ids := make([]uint32, window+1)
	for at := 0; at+1 < tokens.Len() && (stop == nil || !stop()); {
		n := min(window, tokens.Len()-1-at)
		if _, err := tokens.CopyTo(ids[:n+1], at); err != nil {
			return total, fmt.Errorf("evaluation: %w", err)
		}
		s.Reset()
		err := s.ReadAll(ids[:n], func(from int, logits []float32) error {
			predict(&total, logits, ids[from+1:], vocab)
			return nil
		})
		if err == nil && (math.IsNaN(total.Nats) || math.IsInf(total.Nats, 0)) {
			err = nn.ErrNotFinite
		}
		if err != nil {
			return total, fmt.Errorf("evaluation: the sequence from token %d on: %w", at+1, err)
		}
		total.Tokens += int64(n)
		at += n
	}
	return total, nil
}

// windowRows measures rows one after the other.
func windowRows[T any](s *nn.Session[T], rows Rows, window, vocab int, total *Evaluation, stop func() bool) error {
	inputs, targets := make([]uint32, window), make([]uint32, window)
	for i := 0; i < rows.Rows() && (stop == nil || !stop()); i++ {
		if err := rows.Row(i, inputs, targets); err != nil {
			return fmt.Errorf("evaluation: %w", err)
		}
		n := window
		for n > 0 && targets[n-1] == op.NoTarget {
			n--
		}
		s.Reset()
		err := s.ReadAll(inputs[:n], func(from int, logits []float32) error {
			predict(total, logits, targets[from:], vocab)
			return nil
		})
		if err == nil && (math.IsNaN(total.Nats) || math.IsInf(total.Nats, 0)) {
			err = nn.ErrNotFinite
		}
		if err != nil {
			return fmt.Errorf("evaluation: row %d: %w", i, err)
		}
		total.Tokens += int64(Counted(targets[:n]))
	}
	return nil
}

// predict adds what logits (m, V) say of m targets, a row a goroutine: with large vocabularies it is no small part of the work.
func predict(total *Evaluation, logits []float32, targets []uint32, vocab int) {
	rows := len(logits) / vocab
	nats, correct := make([]float64, rows), make([]bool, rows)
	var all sync.WaitGroup
	for r := range rows {
		all.Go(func() {
			row, target := logits[r*vocab:(r+1)*vocab], targets[r]
			if target == op.NoTarget {
				return
			}
			nats[r], correct[r] = surprise(row, target), best(row) == target
		})
	}
	all.Wait()
	for r := range rows { // in their order, so that the sum is the same each time
		total.Nats += nats[r]
		if correct[r] {
			total.Correct++
		}
	}
}

// best is where the first of the largest numbers is.
func best(row []float32) uint32 {
	at := 0
	for i, x := range row {
		if x > row[at] {
			at = i
		}
	}
	return uint32(at)
}
