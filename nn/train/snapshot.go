package train

import (
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// Part is one of the sets of numbers, one number per weight, that a training continues from.
type Part int

const (
	Masters       Part = iota // the float32 weights
	FirstMoments              // Adam's m
	SecondMoments             // Adam's v
	gradients
)

func (x *param[T]) part(p Part) T { return [...]T{x.master, x.m, x.v, x.grad}[p] }

// Download copies a part of what is trained, the weights or an adapter, to the host. The copy is valid until the next
// Download, which reuses its memory, so that a checkpoint takes no more than the weights. If ranks share the moments, all
// must call it, and it gathers them.
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

// Restore replaces a part with a result of Download.
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

// SetUpdates sets how many steps the restored weights have been through.
func (l *Learner[T]) SetUpdates(steps int) { l.step = steps }

// Gradients copies the gradient of the last step, before clipping, to the host, in the memory that Download uses.
func (l *Learner[T]) Gradients() (*nn.Weights[op.HostTensor], error) { return l.Download(gradients) }
