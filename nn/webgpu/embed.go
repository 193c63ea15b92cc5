package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) embed(args *op.Embed[*Tensor]) {
	h, table, tokens := args.H, args.Table, args.Tokens
	n, D := rowsOf(h)
	for _, p := range table.parts {
		params := wgsl.EmbedParams{
			N: uint32(n), Width: uint32(D), Stride: table.stride(), Rows: uint32(p.rows), First: uint32(p.first),
			BlockRows: table.blockRows(), Absmean: flag(table.absmean),
		}
		o.each(variant{kernel: wgsl.Embed, format: table.format, group: table.group}, gpu.Params(&params), n*D/4,
			p.buffer, table.scalesOf(p), o.whole(tokens), o.whole(h))
	}
}

func (o *Ops) embedBackward(args *op.EmbedBackward[*Tensor]) {
	dtable, dh, tokens := args.DTable, args.DH, args.Tokens
	n, D := rowsOf(dh)
	for _, p := range dtable.parts {
		params := wgsl.EmbedBackwardParams{N: uint32(n), Width: uint32(D), Rows: uint32(p.rows), First: uint32(p.first)}
		o.dispatch(variant{kernel: wgsl.EmbedBackward}, gpu.Params(&params), n, ceil(D, int(o.workgroup)),
			o.whole(tokens), o.whole(dh), p.buffer)
	}
}
