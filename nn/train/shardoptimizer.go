package train

import (
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// slice is a part of a parameter whose optimizer state this rank keeps.
type slice[T any] struct {
	param, from, n int
	m, v           T // (n)
	update         op.Prepared
}

// sliceNumbers are updated at once: less than WebGPU's smallest storage binding, and enough for a dispatch.
const sliceNumbers = 1 << 22

// prepareSlices makes the optimizer state of this rank.
func (l *Learner[T]) prepareSlices() error {
	s := l.sharded
	for _, b := range s.buckets {
		from, to := s.sums.mine()
		n := b.top.size()
		from, to = n*from/l.shape.Shards, n*to/l.shape.Shards
		for i, p := range b.params {
			whole := len(b.top[i])
			for at := max(from, 0); at < min(to, whole); at += sliceNumbers {
				s.slices = append(s.slices, slice[T]{param: p, from: at, n: min(sliceNumbers, min(to, whole)-at)})
			}
			from, to = from-whole, to-whole
		}
	}
	room := 1
	for _, x := range s.slices {
		room = max(room, x.n)
	}
	s.w, s.g = l.zeros(room), l.zeros(room)
	for i := range s.slices {
		x := &s.slices[i]
		x.m, x.v = l.zeros(x.n), l.zeros(x.n)
		w, g := l.ops.Rows(s.w, x.n), l.ops.Rows(s.g, x.n)
		var err error
		step := &op.AdamW[T]{W: w, M: x.m, V: x.v, G: g, SumSquares: l.sumSquares, Hyper: l.hypers, Log: l.params[x.param].Log}
		if x.update, err = l.backend.Prepare(op.Program[T]{step}); err != nil {
			return err
		}
	}
	return nil
}

// updateSlices updates the parameters whose state this rank keeps, and gathers the others. The new weights replace the
// gradient.
func (l *Learner[T]) updateSlices() error {
	s, ops := l.sharded, l.ops
	tops := make([][]float32, len(l.params))
	for _, b := range s.buckets {
		for i, p := range b.params {
			tops[p] = b.top[i]
		}
	}
	for _, x := range s.slices {
		part := tops[x.param][x.from : x.from+x.n]
		ops.Copy(s.w, 0, l.params[x.param].master, x.from, x.n)
		ops.Write(s.g, 0, part)
		if !l.params[x.param].Fixed {
			x.update.Run()
		}
		if err := ops.Download(s.w, 0, part); err != nil {
			return fmt.Errorf("reading %s back: %w", l.params[x.param].Names[0], err)
		}
	}
	for _, b := range s.buckets {
		if err := s.sums.gather(b.top, format{}); err != nil {
			return err
		}
		for i, p := range b.params {
			ops.Write(l.params[p].master, 0, b.top[i])
		}
	}
	return nil
}

// readMoments gathers a moment of all ranks in the learner's copy on the host.
func (s *sharded[T]) readMoments(l *Learner[T], part Part) error {
	for _, x := range s.slices {
		if err := l.ops.Download(x.moment(part), 0, (*l.host)[x.param].F32[x.from:x.from+x.n]); err != nil {
			return fmt.Errorf("reading a moment of %s back: %w", l.params[x.param].Names[0], err)
		}
	}
	for _, b := range s.buckets {
		var v vector
		for _, p := range b.params {
			v = append(v, (*l.host)[p].F32)
		}
		if err := s.sums.gather(v, format{}); err != nil {
			return err
		}
	}
	return nil
}

// writeMoments takes this rank's slices of a moment.
func (s *sharded[T]) writeMoments(l *Learner[T], part Part, from *nn.Weights[op.HostTensor]) {
	for _, x := range s.slices {
		l.ops.Write(x.moment(part), 0, (*from)[x.param].F32[x.from:x.from+x.n])
	}
}

func (x slice[T]) moment(p Part) T {
	if p == FirstMoments {
		return x.m
	}
	return x.v
}
