package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

func (o *Ops) Embed(h, table, tokens *Tensor) {
	n, D := rowsOf(h)
	nn.Check("Embed: tokens", tokens.shape, n)
	nn.Check("Embed: table", table.shape, table.shape[0], D)
	if o.drawInto(h, table, tokens) {
		return
	}
	for _, p := range table.parts {
		params := wgsl.EmbedParams{
			N: uint32(n), Width: uint32(D), Stride: table.stride(), Rows: uint32(p.rows), First: uint32(p.first),
		}
		o.each(variant{kernel: wgsl.Embed, format: table.format}, gpu.Params(&params), n*D/4,
			p.buffer, table.scales, o.whole(tokens), o.whole(h))
	}
}

func (o *Ops) EmbedBackward(dtable, dh, tokens *Tensor) {
	n, D := rowsOf(dh)
	nn.Check("EmbedBackward: tokens", tokens.shape, n)
	nn.Check("EmbedBackward: table", dtable.shape, dtable.shape[0], D)
	for _, p := range dtable.parts {
		params := wgsl.EmbedBackwardParams{N: uint32(n), Width: uint32(D), Rows: uint32(p.rows), First: uint32(p.first)}
		o.dispatch(variant{kernel: wgsl.EmbedBackward}, gpu.Params(&params), n, ceil(D, int(o.workgroup)),
			o.whole(tokens), o.whole(dh), p.buffer)
	}
}
