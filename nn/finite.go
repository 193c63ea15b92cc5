package nn

import (
	"errors"
	"fmt"

	"bitgpu/nn/op"
)

// ErrNotFinite is wrapped by every [NotFiniteError].
var ErrNotFinite = errors.New("the model's numbers are not finite")

// NotFiniteError is returned when a model predicts NaN or infinity: its memory has diverged, or its weights are too large for
// float32. It began at one of the tokens From to To, counted from 1 since the memory was empty.
type NotFiniteError struct{ From, To int64 }

func (e *NotFiniteError) Error() string {
	if e.From < e.To {
		return fmt.Sprintf("%v after one of the tokens %d to %d", ErrNotFinite, e.From, e.To)
	}
	return fmt.Sprintf("%v after token %d", ErrNotFinite, e.To)
}

// Unwrap returns ErrNotFinite.
func (e *NotFiniteError) Unwrap() error { return ErrNotFinite }

// findNotFinite returns the error for a prediction that is not finite.
func (s *Session[T]) findNotFinite() error {
	c, n := s.model.Config, s.lastPass
	first := n // row of the pass
	if n > 0 {
		stream := make([]float32, s.batch*n*c.Width)
		if err := s.model.Backend.Download(s.model.work.stream, 0, stream); err != nil {
			return err
		}
		for b := range s.batch {
			if i := op.FirstNotFinite(stream[b*n*c.Width : (b+1)*n*c.Width]); i >= 0 {
				first = min(first, i/c.Width)
			}
		}
	}
	if first == n {
		return s.notFinite()
	}
	e := Spoilt(s.scan, s.read-int64(n), first, n)
	if first == 0 {
		e.From = s.notFinite().From
	}
	return e
}

// Spoilt returns the error for row `row`, the first that is not finite among the n rows of a pass that began after token
// number before.
func Spoilt(s op.Scan, before int64, row, n int) *NotFiniteError {
	e := &NotFiniteError{From: before + int64(row) + 1, To: before + int64(row) + 1}
	if row%s.Chunk == 0 { // any row of the chunk may have turned all its rows into NaN
		e.To = before + int64(min(row+s.Chunk, n))
	}
	return e
}

// notFinite returns the error when all that is known is that the last token with a finite prediction came before.
func (s *Session[T]) notFinite() *NotFiniteError {
	return &NotFiniteError{From: min(s.finite+1, s.read), To: s.read}
}
