package train

import (
	"context"
	"encoding/binary"
	"math"
)

// leads reports whether this is the rank that writes and reports.
func (l *loop) leads() bool { return l.group.Rank() == 0 }

// predicted returns how many targets of a step count over all ranks; own is the number on this one.
func (l *loop) predicted(own int) (int, error) {
	if l.Train.Marks() == nil { // all text counts, equally much on each rank
		return own * l.group.Size(), nil
	}
	return addUp(l.group, own)
}

// measure gives every rank the validation loss that rank 0 measures, nil if the context was cancelled meanwhile.
func (l *loop) measure(ctx context.Context, step int) (*float64, error) {
	var bits []byte
	if l.leads() {
		loss, err := l.measureHere(ctx, step)
		if err != nil {
			return nil, err
		}
		if loss != nil {
			bits = binary.LittleEndian.AppendUint64(nil, math.Float64bits(*loss))
		}
	}
	bits, err := Broadcast(l.group, bits)
	if err != nil || len(bits) == 0 {
		return nil, err
	}
	loss := math.Float64frombits(binary.LittleEndian.Uint64(bits))
	return &loss, nil
}

// helpSave gives the writing rank what it lacks.
func (l *loop) helpSave() error {
	l.sum, l.count, l.saved = 0, 0, l.Trainer.Updates()
	if !l.Trainer.Shape().ShardOptimizer {
		return nil
	}
	for _, part := range momentParts {
		if _, err := l.Trainer.Download(part); err != nil {
			return err
		}
	}
	return nil
}
