package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) squaredReLU(args *op.SquaredReLU[*Tensor]) {
	n, H := rowsOf(args.A)
	params := wgsl.SquaredReLUParams{N: uint32(n), Hidden: uint32(H)}
	o.each(variant{kernel: wgsl.SquaredReLU}, gpu.Params(&params), n*H, o.whole(args.GateUp), o.whole(args.A))
}

func (o *Ops) squaredReLUBackward(args *op.SquaredReLUBackward[*Tensor]) {
	n, H := rowsOf(args.DA)
	params := wgsl.SquaredReLUParams{N: uint32(n), Hidden: uint32(H)}
	o.each(variant{kernel: wgsl.SquaredReLUBackward}, gpu.Params(&params), n*H, o.whole(args.DA), o.whole(args.GateUp), o.whole(args.DGateUp))
}
