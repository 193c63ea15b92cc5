package webgpu

import (
	"slices"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// blocksThreads are the possible workgroup sizes of the kernel that walks all layers.
var blocksThreads = []uint32{64, 256, 1024}

// packedLayers is the copy of a model's layers that the blocks kernel reads.
type packedLayers struct {
	fits           bool           // the kernel can walk these layers
	weights, gains *gpu.Buffer    // nil until needed
	weightStride   int            // per layer, in units of loadBytes
	gainStride     int            // per layer, in numbers
	chosen         map[int]choice // by the number of sequences; Workgroup 0: block by block
}

// blocks are the operations that take one token through all blocks of a model, in the form that one kernel walks.
type blocks struct {
	h       *Tensor // (B, D) the residual stream
	chosen  int     // number of sequences to choose a way for
	slots   *Tensor // (B), or nil for all
	list    []block
	delta   bool    // the mixer
	rate    float32 // tied: η
	program op.Program[*Tensor]
	rows    []*Tensor // tensors that the program writes and the kernel does not
}

// block holds the tensors of one block. Those of the delta mixer are nil for the tied one.
type block struct {
	norm1, mixer, conv, step, stepBias, outNorm, up *Tensor
	norm2, gateUp, down                             *Tensor
	state, tail                                     *Tensor
}

// Sizes, in the words of package nn.
func (b *blocks) width() int  { return b.h.shape[1] }
func (b *blocks) memory() int { return b.list[0].up.shape[1] }
func (b *blocks) hidden() int { return b.list[0].down.shape[1] }
func (b *blocks) heads() int {
	if b.delta {
		return b.list[0].step.shape[0]
	}
	return 1
}

// matchBlocks finds the equally built blocks at the beginning of a program with one token per sequence. It returns nil for
// none.
func matchBlocks(p op.Program[*Tensor]) *blocks {
	b := new(blocks)
	all := p
	for {
		rest, ok := b.match(p)
		if !ok {
			break
		}
		p = rest
	}
	if len(b.list) == 0 {
		return nil
	}
	b.program, b.chosen = all[:len(all)-len(p)], b.h.shape[0]
	return b
}

// match removes one block from the front of a program.
func (b *blocks) match(p op.Program[*Tensor]) (rest op.Program[*Tensor], ok bool) {
	var x block
	norm, ok := take[*op.RMSNorm[*Tensor]](&p)
	if !ok || norm.From != 0 || norm.Count != 0 || norm.Epsilon() != op.NormEps || b.h != nil && norm.H != b.h {
		return nil, false
	}
	h, n := norm.H, norm.H.shape[0]
	mixer, ok := take[*op.Linear[*Tensor]](&p)
	if !ok || mixer.X != norm.X || mixer.Addend != nil || !plainTernary(mixer) {
		return nil, false
	}
	x.norm1, x.mixer = norm.Gain, mixer.W
	var out *Tensor
	delta, rate := false, float32(0)
	var slots *Tensor
	if step, ok := take[*op.StepSize[*Tensor]](&p); ok {
		scan, ok := take[*op.DeltaScan[*Tensor]](&p)
		if !ok || step.X != norm.X || scan.U != mixer.Y || scan.Beta != step.Beta || scan.Starts != nil || op.Epsilon(scan.Eps) != op.NormEps {
			return nil, false
		}
		x.step, x.stepBias, x.conv, x.outNorm, x.state, x.tail = step.W, step.Bias, scan.Conv, scan.Gain, scan.State, scan.Tail
		out, delta, slots = scan.O, true, scan.Slots
		b.rows = append(b.rows, step.Beta, scan.KQV, scan.Answers)
	} else {
		scan, ok := take[*op.TiedScan[*Tensor]](&p)
		if !ok || scan.F != mixer.Y || scan.Starts != nil {
			return nil, false
		}
		x.state, out, rate, slots = scan.State, scan.Z, scan.Rate, scan.Slots
	}
	up, ok := take[*op.Linear[*Tensor]](&p)
	if !ok || up.X != out || up.Addend != h || up.Y != h || !plainTernary(up) {
		return nil, false
	}
	norm2, ok := take[*op.RMSNorm[*Tensor]](&p)
	if !ok || norm2.H != h || norm2.Epsilon() != op.NormEps {
		return nil, false
	}
	gateUp, ok := take[*op.Linear[*Tensor]](&p)
	if !ok || gateUp.X != norm2.X || gateUp.Addend != nil || !plainTernary(gateUp) {
		return nil, false
	}
	act, ok := take[*op.SwiGLU[*Tensor]](&p)
	if !ok || act.GateUp != gateUp.Y {
		return nil, false
	}
	down, ok := take[*op.Linear[*Tensor]](&p)
	if !ok || down.X != act.A || down.Addend != h || down.Y != h || !plainTernary(down) {
		return nil, false
	}
	b.rows = append(b.rows, norm.X, mixer.Y, out, norm2.X, gateUp.Y, act.A)
	x.up, x.norm2, x.gateUp, x.down = up.W, norm2.Gain, gateUp.W, down.W
	if sequencesOf(x.state, slots) != n || len(b.list) > 0 && (slots != b.slots || delta != b.delta || rate != b.rate || !x.like(&b.list[0])) {
		return nil, false
	}
	b.h, b.slots, b.delta, b.rate = h, slots, delta, rate
	b.list = append(b.list, x)
	return p, true
}

// plainTernary reports whether a product has ternary weights with γ and leaves its input unrounded.
func plainTernary(l *op.Linear[*Tensor]) bool {
	return l.W.format == op.Ternary && l.W.group == 0 && !l.Int8
}

// like reports whether two blocks have the same sizes.
func (x *block) like(y *block) bool {
	return slices.Equal(x.mixer.shape, y.mixer.shape) && slices.Equal(x.up.shape, y.up.shape) && slices.Equal(x.gateUp.shape, y.gateUp.shape) &&
		slices.Equal(x.down.shape, y.down.shape) && (x.step == nil || slices.Equal(x.step.shape, y.step.shape))
}

// take removes a program's first operation if it is of type O.
func take[O op.Op[*Tensor]](p *op.Program[*Tensor]) (x O, ok bool) {
	if len(*p) > 0 {
		if x, ok = (*p)[0].(O); ok {
			*p = (*p)[1:]
		}
	}
	return x, ok
}

// fuseBlocks finds the blocks that a program begins with. add, if not nil, records one kernel for all n operations.
func (o *Ops) fuseBlocks(p op.Program[*Tensor], scratch []*Tensor) (n int, add func()) {
	b := matchBlocks(p)
	if b == nil {
		return 0, nil
	}
	for _, t := range b.rows {
		if !slices.Contains(scratch, t) { // it is read after the program
			return len(b.program), nil
		}
	}
	b.chosen = o.chosenFor(b.h.shape[0])
	threads := o.threads(b)
	if threads == 0 {
		return len(b.program), nil
	}
	memories, states := side(b.list, func(x *block) *Tensor { return x.state })
	tails, tailStride := side(b.list, func(x *block) *Tensor { return x.tail })
	if memories == nil || b.delta && tails == nil {
		return len(b.program), nil
	}
	return len(b.program), func() { o.dispatchBlocks(b, threads, memories, states, tails, tailStride) }
}

// dispatchBlocks records the kernel that takes one token of each sequence through all blocks.
func (o *Ops) dispatchBlocks(b *blocks, threads uint32, memories *gpu.Buffer, states int, tails *gpu.Buffer, tailStride int) {
	B, d, D, H := b.h.shape[0], b.memory(), b.width(), b.hidden()
	s := o.packedOf(b)
	o.fill(s, b)
	params := wgsl.BlocksParams{
		Layers: uint32(len(b.list)), Width: uint32(D), Hidden: uint32(H), Memory: uint32(d), Heads: uint32(b.heads()),
		Weights: uint32(s.weightStride), Gains: uint32(s.gainStride), States: uint32(states), Tails: uint32(tailStride),
		Absmean: flag(b.list[0].mixer.absmean), Rate: b.rate,
	}
	v := variant{kernel: wgsl.Blocks, workgroup: threads, input: b.inputQuads(), delta: b.delta, slots: b.slots != nil}
	o.dispatch(v, gpu.Params(&params), B, 1,
		s.weights, s.gains, o.whole(b.h), memories, tails, o.scratch("blocks", B*(7*d+H)), o.whole(b.slots))
}

// inputQuads is the room for the widest input of a product, in quads. A load of weights meets 16 of them.
func (b *blocks) inputQuads() uint32 {
	return uint32(16 * ceil(max(b.hidden(), b.memory()), 4*loadBytes))
}

// side returns the buffer that holds the same tensor of every block, and its distance from block to block in numbers; nil if
// they do not lie side by side.
func side(list []block, of func(*block) *Tensor) (all *gpu.Buffer, stride int) {
	for i := range list {
		t := of(&list[i])
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

// fits reports whether the kernel can walk these blocks.
func (o *Ops) fits(b *blocks) bool {
	weights, gains := b.packedSizes()
	if b.width() > op.WalkWidth || b.memory() > op.WalkWidth || b.heads() > wgsl.BlocksMaxHeads ||
		loadBytes*weights*len(b.list) > o.limit || 4*gains*len(b.list) > o.limit || !o.runsBlocks(b, blocksThreads[0]) {
		return false
	}
	for i := range b.list {
		x := &b.list[i]
		for _, w := range []*Tensor{x.mixer, x.up, x.gateUp, x.down} {
			if !w.loaded || len(w.parts) != 1 || w.absmean != b.list[0].mixer.absmean {
				return false
			}
		}
	}
	return true
}

// runsBlocks reports whether a workgroup with this many threads stays within the device's limits for these blocks. Nobody
// else checks: the size of an array in workgroup memory is a constant in the shader, and drivers accept more than the
// specification allows.
func (o *Ops) runsBlocks(b *blocks, threads uint32) bool {
	l := o.dev.Limits()
	return threads <= l.MaxInvocationsPerWorkgroup && blocksMemory(b.inputQuads(), threads) <= l.MaxWorkgroupMemory
}

// blocksMemory is the workgroup memory of the kernel in bytes: inputs, partial sums, what shared/reduce.wgsl uses, and β.
func blocksMemory(inputQuads, threads uint32) uint32 {
	return 16*max(inputQuads, 1) + (16+8)*threads + 4*wgsl.BlocksMaxHeads
}

// packedSizes returns the size of a block's weights, in units of 16 bytes, and of its gains, in numbers.
func (b *blocks) packedSizes() (weights, gains int) {
	D, d, H := b.width(), b.memory(), b.hidden()
	stride := func(columns int) int { return ceil(columns, 4*loadBytes) }
	weights = 4*ceil(b.list[0].mixer.shape[0], 4)*stride(D) + D*stride(d) + 2*H*stride(D) + D*stride(H)
	gains = wgsl.BlocksGammas + 2*D
	if b.delta {
		gains += 3*d*op.ConvTaps + b.heads()*D + b.heads() + d/b.heads()
	}
	return weights, gains
}

// packedOf returns the packed copy of these layers, or a new, empty one.
func (o *Ops) packedOf(b *blocks) *packedLayers {
	first := b.list[0].mixer
	s := o.packed[first]
	if s == nil {
		s = &packedLayers{fits: o.fits(b), chosen: map[int]choice{}}
		s.weightStride, s.gainStride = b.packedSizes()
		o.packed[first] = s
	}
	return s
}

// fill copies the layers' weights, the first time that it is called.
func (o *Ops) fill(s *packedLayers, b *blocks) {
	if s.weights != nil {
		return
	}
	outer := o.recording
	o.recording = nil // run the copies now, not as part of the program
	defer func() { o.recording = outer }()
	s.weights = o.dev.NewBuffer("weights of all blocks", loadBytes*s.weightStride*len(b.list))
	s.gains = o.dev.NewBuffer("gains of all blocks", 4*s.gainStride*len(b.list))
	for i := range b.list {
		o.pack(s, i, &b.list[i])
	}
}

// pack records the copies of one layer's weights and gains, in the order in which the kernel reads them.
func (o *Ops) pack(s *packedLayers, layer int, x *block) {
	at := layer * s.weightStride
	for _, w := range []*Tensor{x.mixer, x.up, x.gateUp, x.down} {
		rows := w.shape[0]
		params := wgsl.BlocksPackParams{Rows: uint32(rows), Stride: w.stride(), First: uint32(at), Halves: flag(w == x.gateUp)}
		n := 4 * ceil(rows, 4) * int(w.stride())
		o.each(variant{kernel: wgsl.BlocksPack}, gpu.Params(&params), n, w.parts[0].buffer, s.weights)
		at += n
	}
	gain := layer * s.gainStride
	for place, w := range map[int]*Tensor{0: x.mixer, 3: x.up, 4: x.gateUp, 6: x.down} {
		o.dev.Copy(s.gains, 4*(gain+place), w.scales, 0, 4*w.blocks)
	}
	gain += wgsl.BlocksGammas
	for _, g := range []*Tensor{x.norm1, x.norm2, x.conv, x.step, x.stepBias, x.outNorm} {
		if g != nil {
			n := op.Count(g.shape)
			o.dev.Copy(s.gains, 4*gain, o.whole(g), 0, 4*n)
			gain += n
		}
	}
}

// dropPacked releases the packed layers that begin with this tensor, if there are any.
func (o *Ops) dropPacked(first *Tensor) {
	s := o.packed[first]
	if s == nil {
		return
	}
	if s.weights != nil {
		s.weights.Release()
		s.gains.Release()
	}
	delete(o.packed, first)
}
