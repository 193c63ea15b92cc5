package train

import (
	"fmt"
	"slices"

	"bitgpu/nn/op"
)

// sharded is the step with shards: the gradient of each shard by itself, with one program per layer on the way back, and the
// sums over all. A bucket of gradients is sent to other ranks as soon as the backward of its layer is done.
type sharded[T any] struct {
	sums       *summing
	own        int // number of shards of this rank
	parts      []shardPart
	buckets    []*bucket
	update     op.Prepared // of all parameters, nil if the optimizer is sharded
	slices     []slice[T]  // otherwise this rank's parts of them
	w, g       T           // weights and gradient of a slice that is being updated
	losses     []float32   // one per shard
	normLeaves []float32
	failed     error
}

// shardPart is a part of a shard's program, with the buckets that are complete after it.
type shardPart struct {
	program op.Prepared
	done    []*bucket
}

// bucket holds the parameters whose gradients are complete at the same time.
type bucket struct {
	params  []int
	top     vector   // the newest gradient, and finally the sum
	view    bool     // top is the memory of the gradient itself
	waiting []vector // sums of 1, 2, 4 … shards that wait for their partner
}

// hosted makes tensors whose F32 numbers may be in host memory.
type hosted[T any] interface {
	// Floats returns the elements of an F32 tensor without a copy, nil if that is not possible.
	Floats(t T) []float32
}

// failure returns the error of a step for Results.
func (s *sharded[T]) failure() error {
	if s == nil {
		return nil
	}
	return s.failed
}

func (s *sharded[T]) programs() (all []op.Prepared) {
	if s == nil {
		return nil
	}
	for _, p := range s.parts {
		all = append(all, p.program)
	}
	for _, p := range s.slices {
		all = append(all, p.update)
	}
	return append(all, s.update)
}

// prepareShards is prepare for a step with shards.
func (l *Learner[T]) prepareShards() (err error) {
	shape := l.shape
	s := &sharded[T]{
		sums:   &summing{Group: shape.group(), shards: shape.Shards, format: format{shape.Gradient == GradientBF16}},
		own:    shape.Shards / shape.group().Size(),
		losses: make([]float32, shape.Shards), normLeaves: make([]float32, shape.Shards),
	}
	l.sharded = s
	var update op.Program[T]
	quantise := slices.Clone(l.inside)
	programs := []op.Program[T]{nil}
	last := func() *op.Program[T] { return &programs[len(programs)-1] }
	for i := range l.params {
		x := &l.params[i]
		if x.quantize != nil {
			quantise.Add(x.quantize)
		}
		last().Add(&op.Zero[T]{X: x.grad})
		if !shape.ShardOptimizer && !x.Fixed {
			update.Add(&op.AdamW[T]{W: x.master, M: x.m, V: x.v, G: x.grad, SumSquares: l.sumSquares, Hyper: l.hypers, Log: x.Log})
		}
	}
	last().Add(&op.Zero[T]{X: l.loss})
	for k := range shape.Accumulate {
		var all op.Program[T]
		cut := []int{0}
		l.microBatch(&all, k, func() {
			if k == shape.Accumulate-1 {
				cut = append(cut, len(all))
			}
		})
		for i, at := range cut {
			if i > 0 {
				programs = append(programs, nil)
			}
			last().Add(all[at:append(cut, len(all))[i+1]]...)
		}
	}
	if l.quantise, err = l.backend.Prepare(quantise); err != nil {
		return err
	}
	if s.update, err = l.backend.Prepare(update); err != nil {
		return err
	}
	done := l.doneAfter(programs)
	for i, p := range programs {
		prepared, err := l.backend.Prepare(p)
		if err != nil {
			return err
		}
		part := shardPart{program: prepared}
		if len(done[i]) > 0 {
			part.done = append(part.done, l.newBucket(done[i]))
		}
		s.parts, s.buckets = append(s.parts, part), append(s.buckets, part.done...)
	}
	if shape.ShardOptimizer {
		return l.prepareSlices()
	}
	return nil
}

// doneAfter lists, per program, the parameters whose gradients no later program touches.
func (l *Learner[T]) doneAfter(programs []op.Program[T]) [][]int {
	touched := touches{}
	for i, p := range programs {
		for _, o := range p {
			o.Args(visit[T]{l.ops.Shape, func(t T) { touched[t] = i }})
		}
	}
	done := make([][]int, len(programs))
	for i, x := range l.params {
		at := touched[x.grad]
		done[at] = append(done[at], i)
	}
	return done
}

// touches maps tensors to the last program that touches them.
type touches map[any]int

// visit calls a function for every tensor of an operation.
type visit[T any] struct {
	shape func(T) []int
	arg   func(t T)
}

func (v visit[T]) Shape(t T) []int { return v.shape(t) }

func (v visit[T]) Arg(_ string, _ op.Access, t *T, _ ...int) { v.arg(*t) }

func (l *Learner[T]) newBucket(params []int) *bucket {
	b := &bucket{params: params}
	memory, direct := l.ops.(hosted[T])
	for _, i := range params {
		var view []float32
		if direct {
			view = memory.Floats(l.params[i].grad)
		}
		if b.view = view != nil; !b.view {
			view = make([]float32, op.Count(l.params[i].Shape))
		}
		b.top = append(b.top, view)
	}
	for n := 1; n < l.sharded.own; n *= 2 {
		b.waiting = append(b.waiting, b.top.like())
	}
	return b
}

// stepShards is Step with shards.
func (l *Learner[T]) stepShards(rate float64, inputs, targets []uint32) {
	s := l.sharded
	if s.failed == nil {
		s.failed = l.tryShards(rate, inputs, targets)
	}
	if s.failed == nil {
		l.ring.push(l.ops, l.step, l.loss, l.sumSquares)
		l.step++
		l.ops.Submit()
	}
}

func (l *Learner[T]) tryShards(rate float64, inputs, targets []uint32) error {
	s, ops, shape := l.sharded, l.ops, l.shape
	clear(s.losses)
	clear(s.normLeaves)
	hyper(&l.hostHypers, l.step, rate, shape.WeightDecay, shape.Clip)
	ops.Write(l.hypers, 0, l.hostHypers[:])
	l.requantise()
	n := len(inputs) / s.own
	first := s.sums.Rank() * s.own
	for k := range s.own {
		l.writeRows(inputs[k*n:(k+1)*n], targets[k*n:(k+1)*n])
		if shape.Dropout > 0 { // by shard, whichever rank computes it
			l.hostSeed[0] = uint32(shape.Seed)*0x9E3779B9 + uint32(l.step) + uint32(first+k)*0x85EBCA6B
			ops.WriteTokens(l.seed, 0, l.hostSeed[:])
		}
		if err := l.shard(k); err != nil {
			return err
		}
		if err := ops.Download(l.loss, 0, s.losses[first+k:first+k+1]); err != nil {
			return fmt.Errorf("reading the loss: %w", err)
		}
	}
	loss, err := s.sums.total(s.losses, false)
	if err != nil {
		return err
	}
	squares, err := s.sums.total(s.normLeaves, true)
	if err != nil {
		return err
	}
	ops.Write(l.loss, 0, []float32{loss})
	ops.Write(l.sumSquares, 0, []float32{squares})
	l.quantised = false
	if shape.ShardOptimizer {
		return l.updateSlices()
	}
	for _, b := range s.buckets {
		for i, p := range b.params {
			if !b.view {
				ops.Write(l.params[p].grad, 0, b.top[i])
			}
		}
	}
	s.update.Run()
	return nil
}

// shard computes the gradient of shard k of this rank and adds it to the sums. With the last shard, the sums are exchanged
// between ranks, bucket by bucket, while the backward of earlier layers is still running.
func (l *Learner[T]) shard(k int) error {
	s := l.sharded
	last := k == s.own-1
	ready, sent := make(chan *bucket, len(s.buckets)), make(chan error, 1)
	go func() {
		var err error
		for b := range ready {
			b.merge(s.sums.format, k, last)
			if last && err == nil {
				err = s.exchange(b, !l.shape.ShardOptimizer)
			}
		}
		sent <- err
	}()
	var err error
	for _, part := range s.parts {
		part.program.Run()
		for _, b := range part.done {
			if !b.view && err == nil {
				err = l.readGradients(b)
			}
			ready <- b
		}
	}
	close(ready)
	if failed := <-sent; err == nil {
		err = failed
	}
	return err
}

func (l *Learner[T]) readGradients(b *bucket) error {
	for i, p := range b.params {
		if err := l.ops.Download(l.params[p].grad, 0, b.top[i]); err != nil {
			return fmt.Errorf("reading the gradient of %s: %w", l.params[p].Names[0], err)
		}
	}
	return nil
}

// merge adds the gradient of shard k to the sums that wait for it, like the carry of a binary counter.
func (b *bucket) merge(f format, k int, last bool) {
	f.leaf(b.top)
	level := 0
	for ; k>>level&1 == 1; level++ {
		f.add(b.top, b.waiting[level])
	}
	if !last {
		b.waiting[level].copyFrom(b.top)
	}
}

// exchange sums over all ranks: this rank's leaves or, with all, every leaf.
func (s *sharded[T]) exchange(b *bucket, all bool) error {
	if err := s.sums.scatter(b.top); err != nil {
		return err
	}
	s.sums.squares(b.top, s.normLeaves)
	if all {
		return s.sums.gather(b.top, s.sums.format)
	}
	return nil
}
