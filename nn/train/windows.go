package train

import (
	"fmt"
	"math"
	"sync"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// windowPiece is how many logits of a window are there at once.
const windowPiece = 8 << 20

// EvaluateWindows is Evaluator.Evaluate for models of any family, by a session: windows of so many tokens one after the other, each
// from an empty memory. Every token but the first is predicted. of, optional, is another model with the same tokens: then the
// evaluation has the divergence from what it predicts. stop, optional, is asked between windows. The error is [nn.ErrNotFinite], with
// the token, or [nn.ErrContext] for a window that is longer than the model's context.
func EvaluateWindows[T any](m, of *nn.Model[T], tokens Tokens, window int, stop func() bool) (Evaluation, error) {
	var total Evaluation
	if tokens.Len() < 2 || window < 1 {
		return total, fmt.Errorf("evaluation: got %d tokens in windows of %d, want 2 or more in windows of 1 or more", tokens.Len(), window)
	}
	s, err := m.NewSession(1, m.Config.DefaultScan())
	if err != nil {
		return total, err
	}
	defer s.Close()
	var other *nn.Session[T]
	if of != nil {
		if other, err = of.NewSession(1, of.Config.DefaultScan()); err != nil {
			return total, err
		}
		defer other.Close()
	}
	if rows, ok := tokens.(Rows); ok {
		if of != nil {
			return total, fmt.Errorf("evaluation: the divergence from another model is not measured on conversations")
		}
		err := windowRows(s, rows, window, m.Config.Vocab, &total, stop)
		return total, err
	}
	ids := make([]uint32, window+1)
	for at := 0; at+1 < tokens.Len() && (stop == nil || !stop()); {
		n := min(window, tokens.Len()-1-at)
		if _, err := tokens.CopyTo(ids[:n+1], at); err != nil {
			return total, fmt.Errorf("evaluation: %w", err)
		}
		err := evaluateWindow(&total, s, other, ids[:n+1], m.Config.Vocab)
		if err == nil && (math.IsNaN(total.Nats+total.Divergence) || math.IsInf(total.Nats+total.Divergence, 0)) {
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
		err := s.ForwardAll(inputs[:n], func(from int, logits []float32) error {
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

// evaluateWindow adds what is predicted of all but the first of ids; with another session a piece at a time, whose logits it keeps.
func evaluateWindow[T any](total *Evaluation, s, other *nn.Session[T], ids []uint32, vocab int) error {
	s.Reset()
	if other == nil {
		return s.ForwardAll(ids[:len(ids)-1], func(from int, logits []float32) error {
			predict(total, logits, ids[from+1:], vocab)
			return nil
		})
	}
	other.Reset()
	piece := max(windowPiece/vocab, 1)
	room := make([]float32, piece*vocab)
	for first := 0; first < len(ids)-1; first += piece {
		read := ids[first:min(first+piece, len(ids)-1)]
		err := other.ForwardAll(read, func(from int, logits []float32) error {
			copy(room[from*vocab:], logits)
			return nil
		})
		if err == nil {
			err = s.ForwardAll(read, func(from int, logits []float32) error {
				predict(total, logits, ids[first+from+1:], vocab)
				total.Divergence += sumOfRows(logits, vocab, func(r int, row []float32) float64 {
					return divergence(room[(from+r)*vocab:(from+r+1)*vocab], row)
				})
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// predict adds what logits (m, V) say of m targets.
func predict(total *Evaluation, logits []float32, targets []uint32, vocab int) {
	correct := make([]bool, len(logits)/vocab)
	total.Nats += sumOfRows(logits, vocab, func(r int, row []float32) float64 {
		if targets[r] == op.NoTarget {
			return 0
		}
		correct[r] = best(row) == targets[r]
		return surprise(row, targets[r])
	})
	for _, c := range correct {
		if c {
			total.Correct++
		}
	}
}

// sumOfRows adds numbers up, one of each row of logits (m, V), which a goroutine each finds out: with large vocabularies that is no
// small part of the work.
func sumOfRows(logits []float32, vocab int, of func(r int, row []float32) float64) (sum float64) {
	each := make([]float64, len(logits)/vocab)
	var all sync.WaitGroup
	for r := range each {
		all.Go(func() { each[r] = of(r, logits[r*vocab:(r+1)*vocab]) })
	}
	all.Wait()
	for _, x := range each { // in their order, so that the sum is the same each time
		sum += x
	}
	return sum
}

// divergence is Σ p·log(p/q), of Kullback and Leibler, for logits of p and of q.
func divergence(p, q []float32) float64 {
	logP, logQ := logSum(p), logSum(q)
	sum := 0.0
	for i := range p {
		at := float64(p[i]) - logP
		sum += math.Exp(at) * (at - (float64(q[i]) - logQ))
	}
	return sum
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
