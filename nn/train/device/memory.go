package device

import (
	"fmt"
	"math"

	"bitgpu/internal/units"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// RoomError is returned for what needs more memory than there is.
type RoomError struct {
	What       string // "this training"
	Need, Free int64  // bytes
	Batch      bool   // smaller batches or shorter rows would need less
	Recomputed int64  // what it needs if blocks are recomputed in backward, 0 if that does not help
}

func (e *RoomError) Error() string {
	return fmt.Sprintf("%s takes %s of memory, and %s are free", e.What, units.Bytes(e.Need), units.Bytes(e.Free))
}

// Bytes returns the device memory of a training on one rank. On the CPU this includes the sums over shards.
func (d *Device) Bytes(c nn.Config, s train.Shape) int64 {
	if d.OnCPU {
		return train.DeviceBytes(c, s) + train.SumsBytes(c, s, true)
	}
	return train.DeviceBytes(c, s)
}

// Plan decides whether to keep all activations or to recompute blocks in backward: as the options say or, if they leave it
// open, by whether the activations fit. What fits in neither way is a *[RoomError].
func (d *Device) Plan(c nn.Config, o train.Options) (train.Shape, error) {
	s := o.Shape()
	s.Group, s.ShardOptimizer = d.Group, d.ShardOptimizer
	s.Recompute = o.Recompute == train.RecomputeOn || o.Recompute == train.RecomputeAuto && d.Bytes(c, s) > d.Room
	// The initial weights are drawn in host memory, wherever the training runs.
	if host, free := 4*int64(c.ParamCount()), FreeMemory(); host > free {
		return s, &RoomError{What: "drawing the weights of this model", Need: host, Free: free}
	}
	if need := d.Bytes(c, s); need > d.Room {
		again := s
		again.Recompute = true
		return s, &RoomError{What: "this training", Need: need, Free: d.Room, Batch: true, Recomputed: fitting(d.Bytes(c, again), d.Room)}
	}
	return s, nil
}

// fitting returns need, or 0 if that is more than there is room for.
func fitting(need, room int64) int64 {
	if need > room {
		return 0
	}
	return need
}

// NewTrainer makes a trainer by a plan. If the device turns out to have less memory than expected, it recomputes blocks.
func (d *Device) NewTrainer(c nn.Config, o train.Options, s train.Shape, w *nn.Weights[op.HostTensor]) (train.Trainer, error) {
	t, err := d.Learner(c, s, w)
	if err != nil && o.Recompute == train.RecomputeAuto && !s.Recompute {
		s.Recompute = true
		t, err = d.Learner(c, s, w)
	}
	return t, err
}

// CheckEvaluation returns a *[RoomError] for an evaluation that does not fit.
func (d *Device) CheckEvaluation(c nn.Config, batch, time int) error {
	f := c.Footprint(1, 1)
	need := f.Workspace + f.Session // for a public family, whose weights are already loaded
	if c.Decoder == nil {
		need = f.Weights + min(train.EvaluationBytes(c, batch, time), math.MaxInt64/2)
	}
	if need > d.Room {
		return &RoomError{What: "this evaluation", Need: need, Free: d.Room, Batch: true}
	}
	return nil
}
