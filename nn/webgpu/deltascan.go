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
	mix := wgsl.DeltaMixParams{Width: uint32(s.d), Head: uint32(s.c), Time: uint32(s.T), Tail: 1}
	o.dispatchGrid(variant{kernel: wgsl.DeltaMix}, gpu.Params(&mix), uint32(s.n), uint32(3*s.h), 1,
		o.whole(u), o.whole(conv), o.whole(tail), o.whole(mixed))
	end := variant{kernel: wgsl.DeltaStep}
	if s.T > 1 || starts != nil {
		end.kernel = wgsl.DeltaOutput
		span := spanOf(nn.Scan{Chunk: chunk}, starts != nil)
		o.deltaScan(s, s.params(s.T, span, chunk), s.B, o.whole(b), o.whole(mixed), o.whole(state), o.whole(starts), o.whole(read), nil)
	}
	output := wgsl.DeltaOutputParams{Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: uint32(s.T)}
	o.dispatchGrid(end, gpu.Params(&output), uint32(s.n), uint32(s.h), 1, o.whole(u), o.whole(b), o.whole(mixed), o.whole(gain),
		o.whole(state), o.whole(tail), o.whole(read), o.whole(out))
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
