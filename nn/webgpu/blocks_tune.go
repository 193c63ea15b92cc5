package webgpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"bitgpu/nn/op"
)

// threads returns how many threads take a sequence through all layers; 0: block by block.
func (o *Ops) threads(b *blocks) uint32 {
	s, B := o.packedOf(b), b.chosen
	switch {
	case !s.fits:
		return 0
	case o.forcedBlocks != nil:
		if !o.runsBlocks(b, o.forcedBlocks.Workgroup) {
			return 0
		}
		return o.forcedBlocks.Workgroup
	case o.tuning == nil:
		return o.usualThreads(b)
	}
	chosen, ok := s.chosen[B]
	if !ok {
		if chosen, ok = o.chooseBlocks(b); !ok {
			return o.usualThreads(b)
		}
		s.chosen[B] = chosen
	}
	return chosen.Workgroup
}

// chooseBlocks looks up the fastest way, or measures it. ok is false if it cannot be measured now.
func (o *Ops) chooseBlocks(b *blocks) (choice, bool) {
	name, candidates := b.String(), o.blocksChoices(b)
	if chosen, ok := o.tuning.found[name]; ok && slices.Contains(candidates, chosen) {
		return chosen, true
	}
	return o.tune(name, func() (choice, bool) { return o.measureBlocks(b, candidates) })
}

// usualThreads is the choice without a measurement. The walk uses one core and saves dispatches; on a software adapter that
// pays up to a width of 64.
func (o *Ops) usualThreads(b *blocks) uint32 {
	if !o.dev.Info().Hardware() && b.width() <= 64 && b.memory() <= 64 {
		return 64
	}
	return 0
}

// blocksChoices lists the ways to take a token through all layers, the usual one first.
func (o *Ops) blocksChoices(b *blocks) []choice {
	list := []choice{{Workgroup: o.usualThreads(b)}}
	for _, threads := range append([]uint32{0}, blocksThreads...) {
		if c := (choice{Workgroup: threads}); o.runsBlocks(b, threads) && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// String names what a number of threads is chosen for.
func (b *blocks) String() string {
	mixer := "tied"
	if b.delta {
		mixer = "delta"
	}
	return fmt.Sprintf("blocks %s D=%d d=%d h=%d N=%d n=%d", mixer, b.width(), b.memory(), b.heads(), len(b.list), b.chosen)
}

// blocksTolerance is how far the results of two ways may differ, relative to their root mean square. Roundings of one layer
// propagate through all later ones.
const blocksTolerance = 1e-3

// measureBlocks finds the fastest way to take a token of each sequence through all blocks, on a stream and states of its own.
// The block-by-block result serves as the reference, because its products have been checked against the host.
func (o *Ops) measureBlocks(b *blocks, candidates []choice) (choice, bool) {
	defer func() { o.forcedBlocks = nil }()
	B, D := b.chosen, b.width()
	h := o.New(op.F32, B, D)
	start := make([]float32, B*D)
	r := rand.New(rand.NewPCG(1, uint64(B*D)))
	for i := range start {
		start[i] = float32(r.NormFloat64())
	}
	source := o.Load(op.HostTensor{Format: op.F32, Shape: []int{B, D}, F32: start})
	defer o.Release(h, source)
	own := map[*Tensor]*Tensor{b.h: h}
	rows := make([]*Tensor, len(b.rows))
	for i, t := range b.rows {
		if own[t] == nil {
			own[t] = o.Rows(t, B)
		}
		rows[i] = own[t]
	}
	if b.slots != nil {
		own[b.slots] = nil
	}
	var states []*Tensor
	for _, of := range []func(*block) *Tensor{func(x *block) *Tensor { return x.state }, func(x *block) *Tensor { return x.tail }} {
		if first := of(&b.list[0]); first != nil {
			set := o.NewSet(len(b.list), op.F32, append([]int{B}, first.shape[1:]...)...)
			for i := range set {
				own[of(&b.list[i])] = set[i]
			}
			states = append(states, set...)
		}
	}
	defer o.Release(states...)
	if o.Flush() != nil { // not enough memory
		return choice{}, false
	}
	program := append(op.Program[*Tensor]{&op.Copy[*Tensor]{Dst: h, Src: source, N: B * D}}, op.Substitute(b.program, func(t *Tensor) *Tensor {
		if mine, ok := own[t]; ok {
			return mine
		}
		return t
	})...)
	x := race{o: o, now: time.Now, program: program, scratch: rows, use: func(c choice) { o.forcedBlocks = &c }}
	// result returns the stream after the second token, which depends on what the first left in the memory.
	result := func(p op.Prepared) []float32 {
		for _, t := range states {
			o.Zero(t)
		}
		p.Run()
		p.Run()
		v := make([]float32, B*D)
		if o.Download(h, 0, v) != nil {
			return nil
		}
		return v
	}
	plain, err := x.prepare(choice{})
	if err != nil {
		return choice{}, false
	}
	defer plain.Release()
	want := result(plain)
	squares := 0.0
	for _, v := range want {
		squares += float64(v) * float64(v)
	}
	bound := blocksTolerance * math.Sqrt(squares/float64(len(want)))
	return x.fastest(candidates, func(p op.Prepared) bool {
		got := result(p)
		for i := range got {
			if !(math.Abs(float64(got[i])-float64(want[i])) <= bound) {
				return false
			}
		}
		return len(got) == len(want) && len(want) > 0
	})
}
