package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) lowRank(args *op.LowRank[*Tensor]) {
	n, K := rowsOf(args.X)
	params := wgsl.LowRankParams{
		N: uint32(n), Width: uint32(K), Between: uint32(args.A.shape[0]), Rank: uint32(args.B.shape[1]), Total: uint32(args.B.shape[0]), Scale: args.Scale,
	}
	buffers := []*gpu.Buffer{o.whole(args.X), o.whole(args.A), o.whole(args.B), o.whole(args.Low), o.whole(args.Y)}
	o.dispatch(variant{kernel: wgsl.LowRankIn}, gpu.Params(&params), n*args.A.shape[0], 1, buffers...)
	eachLowRankBlock(args.Blocks, func(first, rows, group int) {
		params.First, params.Rows, params.Group = uint32(first), uint32(rows), uint32(group)
		o.each(variant{kernel: wgsl.LowRankOut}, gpu.Params(&params), n*rows, buffers...)
	})
}

func (o *Ops) lowRankBackward(args *op.LowRankBackward[*Tensor]) {
	n, K := rowsOf(args.X)
	of, r := args.A.shape[0], args.B.shape[1]
	params := wgsl.LowRankBackwardParams{
		N: uint32(n), Width: uint32(K), Between: uint32(of), Rank: uint32(r), Total: uint32(args.B.shape[0]), Scale: args.Scale,
	}
	buffers := func(change *Tensor) []*gpu.Buffer {
		return []*gpu.Buffer{o.whole(args.DY), o.whole(args.X), o.whole(args.A), o.whole(args.B), o.whole(args.Low), o.whole(args.DLow), o.whole(change)}
	}
	written := map[int]bool{}
	eachLowRankBlock(args.Blocks, func(first, rows, group int) {
		params.First, params.Rows, params.Group, params.Add = uint32(first), uint32(rows), uint32(group), flag(written[group])
		written[group] = true
		o.dispatch(variant{kernel: wgsl.LowRankDLow}, gpu.Params(&params), n*r, 1, buffers(nil)...)
		o.each(variant{kernel: wgsl.LowRankDB}, gpu.Params(&params), rows*r, buffers(args.DB)...)
	})
	o.each(variant{kernel: wgsl.LowRankDA}, gpu.Params(&params), of*K, buffers(args.DA)...)
	o.each(variant{kernel: wgsl.LowRankDX}, gpu.Params(&params), n*K, buffers(args.DX)...)
}

// eachLowRankBlock calls do with the first row, the number of rows and the group of each block that has one.
func eachLowRankBlock(blocks []op.LowRankBlock, do func(first, rows, group int)) {
	first := 0
	for _, b := range blocks {
		if b.Group >= 0 {
			do(first, b.Rows, b.Group)
		}
		first += b.Rows
	}
}
