package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

// deltaShape are the sizes of a delta scan, read off its tensors.
type deltaShape struct{ n, B, T, d, h, c int }

func shapeOfDelta(o, u, b, conv, gain *Tensor, B int) deltaShape {
	n, d := rowsOf(o)
	c := gain.shape[0]
	s := deltaShape{n, B, n / B, d, d / c, c}
	nn.Check("delta scan: output", o.shape, B*s.T, s.h*c)
	nn.Check("delta scan: projections", u.shape, n, 3*d)
	nn.Check("delta scan: steps", b.shape, n, s.h)
	nn.Check("delta scan: convolution", conv.shape, 3, d, nn.ConvTaps)
	return s
}

func (s deltaShape) params(length, span, keep int) wgsl.DeltaScanParams {
	return wgsl.DeltaScanParams{
		Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: uint32(s.T),
		Length: uint32(length), Span: uint32(span), Keep: uint32(keep),
	}
}

func (o *Ops) DeltaScan(out, u, b, conv, gain, state, tail, mixed, read, starts *Tensor, chunk int) {
	s := shapeOfDelta(out, u, b, conv, gain, state.shape[0])
	nn.Check("DeltaScan: state", state.shape, s.B, s.h, s.c, s.c)
	nn.Check("DeltaScan: tail", tail.shape, s.B, 3, nn.ConvTail, s.d)
	nn.Check("DeltaScan: keys, queries, values", mixed.shape, s.n, 3*s.d)
	nn.Check("DeltaScan: answers", read.shape, s.n, s.d)
	if s.T == 1 && starts == nil && o.decode(s, out, u, b, conv, gain, state, tail, mixed, read) {
		return
	}
	mix := wgsl.DeltaMixParams{Width: uint32(s.d), Head: uint32(s.c), Time: uint32(s.T), Tail: 1, N: uint32(s.n)}
	o.dispatch(variant{kernel: wgsl.DeltaMix}, gpu.Params(&mix), s.n, 3*s.h,
		o.whole(u), o.whole(conv), o.whole(tail), o.whole(mixed))
	end := variant{kernel: wgsl.DeltaStep}
	if s.T > 1 || starts != nil {
		end.kernel = wgsl.DeltaOutput
		span := spanOf(nn.Scan{Chunk: chunk}, starts != nil)
		o.deltaScan(s, s.params(s.T, span, chunk), s.B, o.whole(b), o.whole(mixed), o.whole(state), o.whole(starts), o.whole(read), nil)
	}
	output := wgsl.DeltaOutputParams{Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: uint32(s.T), N: uint32(s.n)}
	o.dispatch(end, gpu.Params(&output), s.n, s.h, o.whole(u), o.whole(b), o.whole(mixed), o.whole(gain),
		o.whole(state), o.whole(tail), o.whole(read), o.whole(out))
}

// decode records a scan of one token together with the Step that waits, if that is the scan's.
func (o *Ops) decode(s deltaShape, out, u, b, conv, gain, state, tail, mixed, read *Tensor) bool {
	p := o.stepped
	if !o.wide || p.b == nil || o.whole(p.b) != o.whole(b) || p.b.shape[0] != s.n {
		return false
	}
	o.stepped = stepped{}
	params := wgsl.DeltaDecodeParams{
		Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: 1, Tail: 1, N: uint32(s.n), Stream: uint32(p.x.shape[1]),
	}
	o.dispatch(variant{kernel: wgsl.DeltaDecode}, gpu.Params(&params), s.n, s.h, o.whole(p.x), o.whole(p.w), o.whole(p.bias),
		o.whole(u), o.whole(conv), o.whole(gain), o.whole(b), o.whole(mixed), o.whole(state), o.whole(tail), o.whole(read), o.whole(out))
	return true
}

// deltaScan records the rule for `sequences` sequences; errors, optional, receives E. The keys' products stay in
// scratch memory.
func (o *Ops) deltaScan(s deltaShape, p wgsl.DeltaScanParams, sequences int, b, mixed, state, starts, read, errors *gpu.Buffer) {
	products := o.scratch("products", s.n*s.h*2*wgsl.TileTokens)
	buffers := []*gpu.Buffer{b, mixed, products, state, starts, read, errors}
	o.dispatchGrid(variant{kernel: wgsl.DeltaProducts}, gpu.Params(&p), uint32(tiles(int(p.Length), int(p.Span))), uint32(sequences*s.h), 1, buffers...)
	o.dispatchGrid(variant{kernel: wgsl.DeltaScan, keep: starts != nil, error: errors != nil}, gpu.Params(&p),
		uint32(ceil(s.c, wgsl.ScanSlab)), uint32(sequences*s.h), 1, buffers...)
}

// DeltaScanBackward runs every chunk forward again from its start, all at once, then the gradient of the state from
// the last span to the first, and those of the keys, queries, values and steps, all at once.
func (o *Ops) DeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts *Tensor, chunk int) {
	s := shapeOfDelta(do, u, b, conv, gain, starts.shape[0])
	chunks := ceil(s.T, chunk)
	nn.Check("DeltaScanBackward: starts", starts.shape, s.B, chunks, s.h, s.c, s.c)
	nn.Check("DeltaScanBackward: gradient of the projections", du.shape, s.n, 3*s.d)
	nn.Check("DeltaScanBackward: gradient of the steps", db.shape, s.n, s.h)
	nn.Check("DeltaScanBackward: gradient of the convolution", dconv.shape, 3, s.d, nn.ConvTaps)
	nn.Check("DeltaScanBackward: gradient of the gain", dgain.shape, s.c)
	nn.Check("DeltaScanBackward: keys, queries, values", mixed.shape, s.n, 3*s.d)
	nn.Check("DeltaScanBackward: answers", read.shape, s.n, s.d)
	o.settle()
	rows := s.n * s.d
	work, dread := o.scratch("work", wgsl.DeltaWorkSections*rows), o.scratch("gradients of answers", rows)
	o.dev.Clear(dread, 0, 4*rows)
	o.rmsnormBackward(s.n*s.h, s.c, dread, o.whole(dgain), o.whole(do), o.whole(read), o.whole(gain))
	o.dev.Copy(work, 4*rows*wgsl.DeltaWorkDZ, dread, 0, 4*rows)

	span := spanOf(nn.Scan{Chunk: chunk}, true)
	spans, cc := s.B*ceil(s.T, span)*s.h, s.c*s.c
	again, states := o.restart(starts, nn.Count(starts.shape), spans*cc, span < chunk)
	errors := o.scratch("errors", rows)
	o.deltaScan(s, s.params(chunk, span, span), s.B*chunks, o.whole(b), o.whole(mixed), again, states, o.scratch("predictions", rows), errors)
	o.dev.Copy(work, 4*rows*wgsl.DeltaWorkE, errors, 0, 4*rows)
	if states == nil {
		states = o.whole(starts)
	}
	dstates, dmixed := o.scratch("gradients of states", spans*cc), o.scratch("gradients of keys, queries, values", 3*rows)
	o.dev.Clear(dstates, 0, 4*spans*cc)
	params := wgsl.DeltaBackwardParams{
		Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: uint32(s.T), Length: uint32(s.T), Span: uint32(span), Keep: uint32(span),
		Section: uint32(rows),
	}
	buffers := []*gpu.Buffer{o.whole(b), o.whole(mixed), o.scratch("products", s.n*s.h*2*wgsl.TileTokens), states, dstates, work, dmixed, o.whole(db)}
	heads := uint32(s.B * s.h)
	o.dispatchGrid(variant{kernel: wgsl.DeltaReverse}, gpu.Params(&params), uint32(ceil(s.c, wgsl.ScanSlab)), heads, 1, buffers...)
	o.dispatchGrid(variant{kernel: wgsl.DeltaInputs}, gpu.Params(&params), uint32(tiles(s.T, span)), heads, uint32(ceil(s.c, wgsl.ScanColumns)), buffers...)

	unmix := wgsl.DeltaUnmixParams{Width: uint32(s.d), Head: uint32(s.c), Time: uint32(s.T), N: uint32(s.n)}
	buffers = []*gpu.Buffer{o.whole(u), o.whole(conv), nil, dmixed, o.whole(du), o.whole(dconv)}
	o.dispatch(variant{kernel: wgsl.DeltaUnmix}, gpu.Params(&unmix), s.n, 3*s.h, buffers...)
	o.each(variant{kernel: wgsl.DeltaConvInputs}, gpu.Params(&unmix), 3*rows, buffers...)
	o.dispatch(variant{kernel: wgsl.DeltaConvTaps}, gpu.Params(&unmix), ceil(3*s.d, wgsl.ColumnsTogether), 1, buffers...)
}
