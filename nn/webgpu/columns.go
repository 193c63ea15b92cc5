package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) copyColumns(args *op.CopyColumns[*Tensor]) {
	n, from := rowsOf(args.Src)
	_, to := rowsOf(args.Dst)
	params := wgsl.CopyColumnsParams{
		N: uint32(n), Columns: uint32(args.N), SrcWidth: uint32(from), SrcFrom: uint32(args.SrcFrom), DstWidth: uint32(to), DstFrom: uint32(args.DstFrom),
	}
	o.each(variant{kernel: wgsl.CopyColumns}, gpu.Params(&params), n*args.N, o.whole(args.Src), o.whole(args.Dst))
}
