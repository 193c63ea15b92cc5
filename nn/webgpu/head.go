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
