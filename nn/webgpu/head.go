package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

func (o *Ops) NormHead(logits, x, h, gain, head *Tensor, from int) {
	m, V := rowsOf(logits)
	n, D := rowsOf(h)
	nn.Check("NormHead: head", head.shape, V, D)
	nn.Check("NormHead: gain", gain.shape, D)
	nn.Check("NormHead: normalised input", x.shape, n, D)
	if from < 0 || from+m > n {
		nn.Check("NormHead: logits", logits.shape, n-from, V)
	}
	for _, p := range head.parts {
		params := wgsl.HeadParams{
			N: uint32(m), Width: uint32(D), Stride: head.stride(), Rows: uint32(p.rows), First: uint32(p.first), Total: uint32(V),
			Start: uint32(from),
		}
		o.product(wgsl.HeadVector, wgsl.HeadMatrix, variant{format: head.format, norm: true}, gpu.Params(&params),
			m, ceil(p.rows, 4), head.stride(), o.whole(h), o.whole(gain), p.buffer, head.scales, o.whole(x), o.whole(logits))
	}
}

func (o *Ops) HeadBackward(dx, dhead, dlogits, x, head *Tensor, from int) {
	m, V := rowsOf(dlogits)
	n, D := rowsOf(x)
	nn.Check("HeadBackward: head", head.shape, V, D)
	nn.Check("HeadBackward: gradient of the head", dhead.shape, V, D)
	nn.Check("HeadBackward: gradient of the input", dx.shape, n, D)
	if from < 0 || from+m > n {
		nn.Check("HeadBackward: gradient of the logits", dlogits.shape, n-from, V)
	}
	if head.format != nn.F32 {
		panic("webgpu: HeadBackward of a head in F32, " + head.format.String() + " found")
	}
	params := wgsl.HeadParams{N: uint32(m), Width: uint32(D), Stride: head.stride(), Total: uint32(V), Start: uint32(from)}
	for _, p := range head.parts {
		params.Rows, params.First = uint32(p.rows), uint32(p.first)
		o.dispatch(variant{kernel: wgsl.HeadDX}, gpu.Params(&params), ceil(D, tileRows), ceil(m, tileRows),
			o.whole(dlogits), o.whole(x), p.buffer, o.whole(dx), nil)
	}
	for _, p := range dhead.parts {
		params.Rows, params.First = uint32(p.rows), uint32(p.first)
		o.dispatch(variant{kernel: wgsl.HeadDW}, gpu.Params(&params), ceil(D, tileRows), ceil(p.rows, tileRows),
			o.whole(dlogits), o.whole(x), nil, nil, p.buffer)
	}
}
