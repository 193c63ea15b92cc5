package webgpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

// maxWalk is up to which width of the model or its memory one workgroup may take a token through all layers: its
// memory has to hold the widest activations.
const maxWalk = 512

// walkThreads are the sizes of a workgroup that walks all layers.
var walkThreads = []uint32{64, 256, 1024}

// stack is what the blocks kernel reads of a model's layers, a copy of theirs.
type stack struct {
	fits           bool           // the kernel can walk these layers
	weights, gains *gpu.Buffer    // nil until they are needed
	weightStride   int            // blocks of 16 bytes of a layer
	gainStride     int            // numbers of a layer
	chosen         map[int]choice // by the number of sequences; no Workgroup: block by block
}

// blocks are the arguments of Blocks.
type blocks struct {
	h      *Tensor
	layers []nn.Layer[*Tensor]
	states []nn.LayerState[*Tensor]
	a      *nn.Activations[*Tensor]
	c      nn.Config
}

func (o *Ops) Blocks(h *Tensor, layers []nn.Layer[*Tensor], states []nn.LayerState[*Tensor], a *nn.Activations[*Tensor], c nn.Config) {
	nn.Check("Blocks: stream", h.shape, h.shape[0], c.Width)
	b := blocks{h, layers, states, a, c}
	if threads := o.threads(&b); threads == 0 || !o.walkBlocks(&b, threads) {
		nn.BlockByBlock(o, h, layers, states, a, c)
	}
}

// walkBlocks records the kernel that takes a token of each sequence through all layers; not if the states do not lie
// side by side.
func (o *Ops) walkBlocks(b *blocks, threads uint32) bool {
	c, B := b.c, b.h.shape[0]
	d, D, H := c.MemoryWidth, c.Width, c.MLPWidth()
	memories, states := side(b.states, func(l *nn.LayerState[*Tensor]) *Tensor { return l.Memory })
	var tails *gpu.Buffer
	tailStride := 0
	if c.Delta() {
		tails, tailStride = side(b.states, func(l *nn.LayerState[*Tensor]) *Tensor { return l.Tail })
	}
	if memories == nil || c.Delta() && tails == nil {
		return false
	}
	s := o.stack(b)
	o.fill(s, b)
	params := wgsl.BlocksParams{
		Layers: uint32(c.Layers), Width: uint32(D), Hidden: uint32(H), Memory: uint32(d), Heads: uint32(c.Heads),
		Weights: uint32(s.weightStride), Gains: uint32(s.gainStride), States: uint32(states), Tails: uint32(tailStride),
		Absmean: flag(b.layers[0].Mix.absmean), Rate: float32(c.InnerLR),
	}
	v := variant{kernel: wgsl.Blocks, workgroup: threads, input: inputQuads(c), delta: c.Delta()}
	o.dispatch(v, gpu.Params(&params), B, 1,
		s.weights, s.gains, o.whole(b.h), memories, tails, o.scratch("blocks", B*(7*d+H)))
	return true
}

// inputQuads is the room for the widest input of a product, in quads, of which a block of weights meets 16.
func inputQuads(c nn.Config) uint32 {
	return uint32(16 * ceil(max(c.MLPWidth(), c.MemoryWidth), 4*block))
}

// side is the buffer in which a tensor of every layer lies, nil if they do not lie side by side, and the numbers from
// one to the next.
func side(states []nn.LayerState[*Tensor], of func(*nn.LayerState[*Tensor]) *Tensor) (all *gpu.Buffer, stride int) {
	for i := range states {
		t := of(&states[i])
		if t == nil || len(t.parts) != 1 {
			return nil, 0
		}
		whole, offset := t.parts[0].buffer.Whole()
		if i == 1 {
			stride = offset / 4
		}
		if whole == nil || i > 0 && whole != all || offset != 4*i*stride {
			return nil, 0
		}
		all = whole
	}
	return all, stride
}

// fits says whether the kernel can walk these layers.
func (o *Ops) fits(b *blocks) bool {
	c := b.c
	weights, gains := stackSizes(c)
	if c.Width > maxWalk || c.MemoryWidth > maxWalk || c.Heads > wgsl.BlocksMaxHeads ||
		block*weights*c.Layers > o.limit || 4*gains*c.Layers > o.limit {
		return false
	}
	for i := range b.layers {
		l := &b.layers[i]
		for _, w := range []*Tensor{l.Mix, l.Up, l.GateUp, l.Down} {
			if !w.loaded || len(w.parts) != 1 || w.absmean != b.layers[0].Mix.absmean {
				return false
			}
		}
	}
	return true
}

// stackSizes are a layer's weights, in blocks of 16 bytes, and gains, in numbers.
func stackSizes(c nn.Config) (weights, gains int) {
	D, d, H := c.Width, c.MemoryWidth, c.MLPWidth()
	stride := func(columns int) int { return ceil(columns, 4*block) }
	weights = 4*ceil(c.MixWidth(), 4)*stride(D) + D*stride(d) + 2*H*stride(D) + D*stride(H)
	gains = wgsl.BlocksGammas + 2*D
	if c.Delta() {
		gains += 3*d*nn.ConvTaps + c.Heads*D + c.Heads + c.HeadWidth()
	}
	return weights, gains
}

// stack is what is known of these layers.
func (o *Ops) stack(b *blocks) *stack {
	first := b.layers[0].Mix
	s := o.stacks[first]
	if s == nil {
		s = &stack{fits: o.fits(b), chosen: map[int]choice{}}
		s.weightStride, s.gainStride = stackSizes(b.c)
		o.stacks[first] = s
	}
	return s
}

// fill records the copy of the layers' weights, once.
func (o *Ops) fill(s *stack, b *blocks) {
	if s.weights != nil {
		return
	}
	o.settle()
	s.weights = o.dev.NewBuffer("weights of all blocks", block*s.weightStride*len(b.layers))
	s.gains = o.dev.NewBuffer("gains of all blocks", 4*s.gainStride*len(b.layers))
	for i := range b.layers {
		o.pack(s, i, &b.layers[i])
	}
}

// pack records the copies of one layer's weights and gains, in the order in which the kernel takes them.
func (o *Ops) pack(s *stack, layer int, l *nn.Layer[*Tensor]) {
	at := layer * s.weightStride
	for _, w := range []*Tensor{l.Mix, l.Up, l.GateUp, l.Down} {
		rows := w.shape[0]
		params := wgsl.BlocksPackParams{Rows: uint32(rows), Stride: w.stride(), First: uint32(at), Halves: flag(w == l.GateUp)}
		n := 4 * ceil(rows, 4) * int(w.stride())
		o.each(variant{kernel: wgsl.BlocksPack}, gpu.Params(&params), n, w.parts[0].buffer, s.weights)
		at += n
	}
	gain := layer * s.gainStride
	for place, w := range map[int]*Tensor{0: l.Mix, 3: l.Up, 4: l.GateUp, 6: l.Down} {
		o.dev.Copy(s.gains, 4*(gain+place), w.scales, 0, 4*w.blocks)
	}
	gain += wgsl.BlocksGammas
	for _, g := range []*Tensor{l.Norm1, l.Norm2, l.Conv, l.Step, l.StepBias, l.MixNorm} {
		if g != nil {
			n := nn.Count(g.shape)
			o.dev.Copy(s.gains, 4*gain, o.whole(g), 0, 4*n)
			gain += n
		}
	}
}

// dropStack gives the copy of the layers back that begin with a tensor, if there is one.
func (o *Ops) dropStack(first *Tensor) {
	s := o.stacks[first]
	if s == nil {
		return
	}
	if s.weights != nil {
		s.weights.Release()
		s.gains.Release()
	}
	delete(o.stacks, first)
}

// threads is how many threads take a sequence through all layers; 0: block by block.
func (o *Ops) threads(b *blocks) uint32 {
	s, B := o.stack(b), b.h.shape[0]
	switch {
	case !s.fits:
		return 0
	case o.walk != nil:
		return o.walk.Workgroup
	case o.tuning == nil:
		return o.usualThreads(b)
	}
	chosen, ok := s.chosen[B]
	if !ok {
		if chosen, ok = o.chooseWalk(*b); !ok {
			return o.usualThreads(b)
		}
		s.chosen[B] = chosen
	}
	return chosen.Workgroup
}

// chooseWalk looks the fastest way up, or measures it; !ok if it cannot be measured now.
func (o *Ops) chooseWalk(b blocks) (choice, bool) {
	name, candidates := b.String(), o.walks(&b)
	if chosen, ok := o.tuning.found[name]; ok && slices.Contains(candidates, chosen) {
		return chosen, true
	}
	return o.tune(name, func() (choice, bool) { return o.measureBlocks(&b, candidates) })
}

// usualThreads is what is chosen without a measurement: the walk wins where dispatches cost more than the other cores
// would give, on a software adapter up to a width of 64.
func (o *Ops) usualThreads(b *blocks) uint32 {
	if !o.dev.Info().Hardware() && b.c.Width <= 64 && b.c.MemoryWidth <= 64 {
		return 64
	}
	return 0
}

// walks are the ways of taking a token through all layers, the usual one first.
func (o *Ops) walks(b *blocks) []choice {
	list := []choice{{Workgroup: o.usualThreads(b)}}
	for _, threads := range append([]uint32{0}, walkThreads...) {
		if c := (choice{Workgroup: threads}); threads <= o.dev.Limits().MaxInvocationsPerWorkgroup && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// String names what is chosen a number of threads for.
func (b *blocks) String() string {
	c := b.c
	return fmt.Sprintf("blocks %s D=%d d=%d h=%d N=%d n=%d", c.Mixer, c.Width, c.MemoryWidth, c.Heads, c.Layers, b.h.shape[0])
}

// blocksTolerance is how far the results of two ways may lie apart, as a share of their root mean square: roundings of
// one layer go through all later ones.
const blocksTolerance = 1e-3

// measureBlocks finds the fastest way of taking a token through all layers, on a stream and states of its own. What is
// right is what comes of block by block, whose products have been held against the host.
func (o *Ops) measureBlocks(b *blocks, candidates []choice) (choice, bool) {
	defer func() { o.walk = nil }()
	B, D := b.h.shape[0], b.c.Width
	states, h := nn.NewState(o, b.c, B), o.New(nn.F32, B, D)
	defer states.Release(o)
	start := make([]float32, B*D)
	r := rand.New(rand.NewPCG(1, uint64(B*D)))
	for i := range start {
		start[i] = float32(r.NormFloat64())
	}
	source := o.Load(nn.HostTensor{Format: nn.F32, Shape: []int{B, D}, F32: start})
	defer o.Release(h, source)
	if o.Flush() != nil { // no room
		return choice{}, false
	}
	a := *b.a
	a.In, a.Mid = h, h
	x := race{o: o, now: time.Now, run: func() {
		o.Copy(h, 0, source, 0, B*D)
		o.Blocks(h, b.layers, states.Layers, &a, b.c)
	}}
	use := func(c choice) { o.walk = &c }
	// result is the stream after the second token: it depends on what was remembered of the first.
	result := func() []float32 {
		states.Zero(o)
		x.run()
		x.run()
		v := make([]float32, B*D)
		if o.Read(h, 0, v) != nil {
			return nil
		}
		return v
	}
	use(choice{})
	want := result()
	squares := 0.0
	for _, v := range want {
		squares += float64(v) * float64(v)
	}
	bound := blocksTolerance * math.Sqrt(squares/float64(len(want)))
	return x.fastest(candidates, use, func() bool {
		got := result()
		for i := range got {
			if !(math.Abs(float64(got[i])-float64(want[i])) <= bound) {
				return false
			}
		}
		return len(got) == len(want) && len(want) > 0
	})
}
