package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) swiGLU(args *op.SwiGLU[*Tensor]) {
	n, H := rowsOf(args.A)
	params := wgsl.SwiGLUParams{N: uint32(n), Hidden: uint32(H)}
	o.each(variant{kernel: wgsl.SwiGLUActivate, format: op.Ternary}, gpu.Params(&params), n*H,
		nil, nil, nil, nil, nil, o.whole(args.GateUp), o.whole(args.A))
}

// normSwiGLU records an RMSNorm, the product after it and the SwiGLU after that as one dispatch.
func (o *Ops) normSwiGLU(norm *op.RMSNorm[*Tensor], linear *op.Linear[*Tensor], act *op.SwiGLU[*Tensor]) {
	n, D := rowsOf(norm.H)
	w := linear.W
	H := w.shape[0] / 2
	params := wgsl.SwiGLUParams{
		N: uint32(n), Width: uint32(D), Stride: w.stride(), Hidden: uint32(H), BlockRows: w.blockRows(), Absmean: flag(w.absmean),
		Eps: float32(norm.Epsilon()),
	}
	o.product(wgsl.SwiGLUVector, wgsl.SwiGLUMatrix, variant{format: w.format, group: w.group, norm: true}, gpu.Params(&params), n, ceil(H, 2), w.stride(),
		o.whole(norm.H), o.whole(norm.Gain), w.parts[0].buffer, w.scalesOf(w.parts[0]), o.whole(norm.X), o.whole(linear.Y), o.whole(act.A))
}

func (o *Ops) swiGLUBackward(args *op.SwiGLUBackward[*Tensor]) {
	dgu, da, gu := args.DGateUp, args.DA, args.GateUp
	n, H := rowsOf(da)
	params := wgsl.SwiGLUBackwardParams{N: uint32(n), Hidden: uint32(H)}
	o.each(variant{kernel: wgsl.SwiGLUBackward}, gpu.Params(&params), n*H, o.whole(da), o.whole(gu), o.whole(dgu))
}
