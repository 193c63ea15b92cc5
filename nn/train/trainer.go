package train

import (
	"bitgpu/nn"
	"bitgpu/nn/op"
)

// Trainer is a [Learner] without its type parameter. Tests of a run put a fake in its place.
type Trainer interface {
	Config() nn.Config
	Shape() Shape
	Updates() int
	SetUpdates(steps int)
	Step(rate float64, inputs, targets []uint32)
	Pending() (steps int, full bool)
	Results() ([]Result, error)
	Evaluate(tokens Tokens, stop func() bool) (Evaluation, error)
	Download(part Part) (*nn.Weights[op.HostTensor], error)
	Restore(part Part, from *nn.Weights[op.HostTensor]) error
	Release()
}

var _ Trainer = (*Learner[int])(nil)
