package train

import (
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// Part names one of the sets of numbers, one a weight, that a training goes on from.
type Part int

const (
	Masters       Part = iota // the float32 weights
	FirstMoments              // Adam's m
	SecondMoments             // Adam's v
	gradients
)

func (x *param[T]) part(p Part) T { return [...]T{x.master, x.m, x.v, x.grad}[p] }

// Download copies a part of what is trained, the weights or an adapter, to the host. The copy lasts until the next Download: there is one, so that a
// checkpoint takes no more memory than the weights. Where ranks share the moments they all must call it, and gather them.
func (l *Learner[T]) Download(part Part) (*nn.Weights[op.HostTensor], error) {
	if l.host == nil {
		l.host = new(nn.Weights[op.HostTensor])
		for _, p := range l.params {
			*l.host = append(*l.host, op.HostTensor{Format: op.F32, Shape: p.Shape, F32: make([]float32, op.Count(p.Shape))})
		}
	}
	if part != Masters && part != gradients && l.shape.ShardOptimizer {
		return l.host, l.sharded.readMoments(l, part)
	}
	var first error
	for i, h := range *l.host {
		if err := l.ops.Download(l.params[i].part(part), 0, h.F32); err != nil && first == nil {
			first = fmt.Errorf("reading %s back: %w", l.params[i].Names[0], err)
		}
	}
	return l.host, first
}

// Restore replaces a part by what Download gave.
func (l *Learner[T]) Restore(part Part, from *nn.Weights[op.HostTensor]) error {
	for i, h := range *from {
		op.Check(l.params[i].Names[0], h.Shape, l.params[i].Shape...)
		if part == Masters || !l.shape.ShardOptimizer {
			l.ops.Write(l.params[i].part(part), 0, h.F32)
		}
	}
	if part != Masters && l.shape.ShardOptimizer {
		l.sharded.writeMoments(l, part, from)
	}
	l.quantised = false
	return l.ops.Flush()
}

// SetUpdates says how many steps the restored weights have behind them.
func (l *Learner[T]) SetUpdates(steps int) { l.step = steps }

// Gradients copies the gradient of the last step, as it was before clipping, to the host; it
// shares its memory with Download.
func (l *Learner[T]) Gradients() (*nn.Weights[op.HostTensor], error) { return l.Download(gradients) }
