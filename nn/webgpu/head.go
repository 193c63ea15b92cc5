package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) head(args *op.Head[*Tensor]) { o.logits(args, nil) }

// logits records a Head, together with the RMSNorm before it if there is one.
func (o *Ops) logits(args *op.Head[*Tensor], norm *op.RMSNorm[*Tensor]) {
	logits, h, head, from := args.Logits, args.X, args.W, args.From
	var gain, x *Tensor
	if norm != nil {
		h, gain, x = norm.H, norm.Gain, norm.X
	}
	m, V := rowsOf(logits)
	_, D := rowsOf(h)
	eps := float32(0)
	if norm != nil {
		eps = float32(norm.Epsilon())
	}
	for _, p := range head.parts {
		params := wgsl.HeadParams{
			N: uint32(m), Width: uint32(D), Stride: head.stride(), Rows: uint32(p.rows), First: uint32(p.first), Total: uint32(V),
			Start: uint32(from), BlockRows: head.blockRows(), Absmean: flag(head.absmean), Eps: eps,
		}
		o.product(wgsl.HeadVector, wgsl.HeadMatrix, variant{format: head.format, group: head.group, norm: norm != nil}, gpu.Params(&params),
			m, ceil(p.rows, 4), head.stride(), o.whole(h), o.whole(gain), p.buffer, head.scalesOf(p), o.whole(x), o.whole(logits))
	}
}

func (o *Ops) headBackward(args *op.HeadBackward[*Tensor]) {
	dx, dhead, dlogits, x, head, from := args.DX, args.DW, args.DLogits, args.X, args.W, args.From
	m, V := rowsOf(dlogits)
	_, D := rowsOf(x)
	params := wgsl.HeadBackwardParams{
		N: uint32(m), Width: uint32(D), Stride: head.stride(), Total: uint32(V), Start: uint32(from), BlockRows: head.blockRows(), Absmean: flag(head.absmean),
	}
	for _, p := range head.parts {
		params.Rows, params.First = uint32(p.rows), uint32(p.first)
		o.dispatch(variant{kernel: wgsl.HeadDX, format: head.format, group: head.group}, gpu.Params(&params), ceil(D, tileRows), ceil(m, tileRows),
			o.whole(dlogits), o.whole(x), p.buffer, o.whole(dx), nil, head.scalesOf(p))
	}
	if dhead == nil {
		return
	}
	for _, p := range dhead.parts {
		params.Rows, params.First = uint32(p.rows), uint32(p.first)
		o.dispatch(variant{kernel: wgsl.HeadDW}, gpu.Params(&params), ceil(D, tileRows), ceil(p.rows, tileRows),
			o.whole(dlogits), o.whole(x), nil, nil, p.buffer, nil)
	}
}
