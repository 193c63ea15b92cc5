package device

import (
	"math/rand/v2"
	"time"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// RandomSteps measures steps on random tokens, the same ones in every step.
type RandomSteps struct {
	Limit  int           // largest number of steps after the first, 0 for what Least and Time give
	Least  int           // smallest number of steps
	Time   time.Duration // no step begins after this, except to reach Least
	Group  train.Group   // rank 0 decides for all; nil for one process
	inputs []uint32
}

// NewRandomSteps draws the tokens of steps of a shape.
func NewRandomSteps(s train.Shape, vocab int) *RandomSteps {
	random := rand.New(rand.NewPCG(1, 1))
	ids := make([]uint32, s.OwnTokens()+1)
	for i := range ids {
		ids[i] = random.Uint32N(uint32(vocab))
	}
	return &RandomSteps{Group: train.Alone{}, inputs: ids}
}

// Measure returns the mean time of the steps after the first, which allocates memory, and the number of all steps taken. The
// learning rate is 0, so that random weights do not diverge.
func (r *RandomSteps) Measure(t train.Trainer) (mean time.Duration, taken int, err error) {
	step := func() { t.Step(0, r.inputs[:len(r.inputs)-1], r.inputs[1:]) }
	step()
	if _, err := t.Results(); err != nil {
		return 0, 1, err
	}
	start := time.Now()
	steps := 0
	for ; ; steps++ {
		more := steps < r.Limit || r.Limit == 0 && (steps < r.Least || time.Since(start) < r.Time)
		if more, err = train.Any(r.Group, more && r.Group.Rank() == 0); err != nil || !more {
			break
		}
		step()
		if _, full := t.Pending(); full {
			if _, err := t.Results(); err != nil {
				return 0, steps, err
			}
		}
	}
	if err == nil {
		_, err = t.Results()
	}
	return time.Since(start) / time.Duration(max(steps, 1)), steps + 1, err
}

// StepTime measures a few steps of a training, which is then dropped, on copies of weights or, if w is nil, on new ones;
// there are no new weights for public models.
func (d *Device) StepTime(c nn.Config, o train.Options, w *nn.Weights[op.HostTensor]) (time.Duration, error) {
	shape, err := d.Plan(c, o)
	if err != nil {
		return 0, err
	}
	if w == nil {
		w = train.InitialWeights(c, o.Seed)
	}
	t, err := d.NewTrainer(c, o, shape, w)
	if err != nil {
		return 0, err
	}
	defer t.Release()
	steps := NewRandomSteps(t.Shape(), c.Vocab)
	steps.Limit = 2
	each, _, err := steps.Measure(t)
	return each, err
}

// MatrixWork returns the floating-point operations of matrix products in one step by the names of the operations, counting a
// multiply-add as two. Backward takes one product for the input and one for the weight.
func MatrixWork(c nn.Config, s train.Shape) map[string]float64 {
	n := float64(s.TokensPerStep())
	blocks := float64(c.LinearCount())
	forward := blocks
	if s.Recompute {
		forward = blocks * (2 - 1/float64(c.Layers))
	}
	head := 2 * n * float64(c.Width) * float64(c.Vocab)
	return map[string]float64{
		"Linear":         2 * n * forward,
		"LinearBackward": 4 * n * blocks,
		"Head":           head,
		"HeadBackward":   2 * head,
	}
}
