package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"bitgpu/io/corpus"
	"bitgpu/nn"
)

// validate measures the validation data into the last line. It gives nil where the context ended meanwhile: a part of
// the data says nothing.
func (l *loop) validate(ctx context.Context) (*float64, error) {
	last := &l.lines[len(l.lines)-1]
	loss, err := l.measure(ctx, last.Step)
	if err != nil {
		return nil, l.fail(err)
	}
	last.ValLoss = loss
	return loss, nil
}

// measureHere is measure on the rank that writes.
func (l *loop) measureHere(ctx context.Context, step int) (*float64, error) {
	var tokens Tokens = l.Val
	if marks := l.Val.Marks(); marks != nil {
		rows, err := corpus.NewRows(l.Val, marks, l.Options.Time)
		if err != nil {
			return nil, fmt.Errorf("the validation data: %w", err)
		}
		if l.Options.Pack {
			rows.Pack()
		}
		tokens = rows
	}
	v, err := l.Trainer.Evaluate(tokens, func() bool { return ctx.Err() != nil })
	ranAway := errors.Is(err, nn.ErrNotFinite)
	if err != nil && !ranAway || ctx.Err() != nil {
		return nil, err
	}
	loss := v.Loss()
	if ranAway || math.IsNaN(loss) || math.IsInf(loss, 0) {
		return nil, notFinite{validationLoss, step, advice(l.Trainer.Config())}
	}
	return &loss, nil
}

// catchUp does the validation that was due when the run was stopped, so that a run that was stopped reports the same as one
// that was not. It returns nil if none was due or the context has ended.
func (l *loop) catchUp(ctx context.Context) (*float64, error) {
	l.owed = l.Resumed != nil && l.Resumed.State.ValidationDue && l.Val != nil && l.Options.ValEvery > 0
	if !l.owed {
		return nil, nil
	}
	val, err := l.measure(ctx, l.Resumed.State.Step-1)
	l.owed = val == nil
	return val, err
}

// validated records a validation that was done late in its checkpoint, which is a regular one if the run has settled with it.
func (c *Checkpoint) validated(loss float64, settled bool) error {
	s := &c.State
	s.ValidationDue = false
	if settled {
		s.Stopped, s.LossSum, s.LossCount = false, 0, 0
	}
	if !s.Stopped {
		s.Loss, s.Validated = loss, true
	}
	if err := writeState(c.Path, c.State); err != nil {
		return fmt.Errorf("checkpoint %s: %w", c.Path, err)
	}
	return nil
}
