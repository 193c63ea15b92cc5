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
	x := o.whole(args.X)
	if args.Int8 {
		x = o.round(args.X, nil, nil)
	}
	buffers := []*gpu.Buffer{x, o.whole(args.A), o.whole(args.B), o.whole(args.Low), o.whole(args.Y)}
	o.dispatch(variant{kernel: wgsl.LowRankIn, int8: args.Int8}, gpu.Params(&params), n*args.A.shape[0], 1, buffers...)
	if args.Y == nil {
		return
	}
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
	x := o.whole(args.X)
	if args.Int8 {
		x = o.round(args.X, nil, nil)
	}
	buffers := func(change *Tensor) []*gpu.Buffer {
		return []*gpu.Buffer{o.whole(args.DY), x, o.whole(args.A), o.whole(args.B), o.whole(args.Low), o.whole(args.DLow), o.whole(change)}
	}
	written := map[int]bool{}
	eachLowRankBlock(args.Blocks, func(first, rows, group int) {
		params.First, params.Rows, params.Group, params.Add = uint32(first), uint32(rows), uint32(group), flag(written[group])
		written[group] = true
		o.dispatch(variant{kernel: wgsl.LowRankDLow}, gpu.Params(&params), n*r, 1, buffers(nil)...)
		o.each(variant{kernel: wgsl.LowRankDB}, gpu.Params(&params), rows*r, buffers(args.DB)...)
	})
	o.each(variant{kernel: wgsl.LowRankDA, int8: args.Int8}, gpu.Params(&params), of*K, buffers(args.DA)...)
	if args.DX != nil {
		o.each(variant{kernel: wgsl.LowRankDX}, gpu.Params(&params), n*K, buffers(args.DX)...)
	}
}

func (o *Ops) lowRankMerge(args *op.LowRankMerge[*Tensor]) {
	_, K := rowsOf(args.W)
	params := wgsl.LowRankMergeParams{Width: uint32(K), Rank: uint32(args.B.shape[1]), Scale: args.Scale}
	first := 0
	for _, b := range args.Blocks {
		params.Group, params.Merge = uint32(max(b.Group, 0)), flag(b.Group >= 0)
		eachOverlap(args.Base, args.W, func(from, to part, at, n int) {
			if at, n = overlap(first, b.Rows, at, n); n == 0 {
				return
			}
			params.Rows, params.Base, params.To, params.First = uint32(n), uint32(at-from.first), uint32(at-to.first), uint32(at)
			o.each(variant{kernel: wgsl.LowRankMerge}, gpu.Params(&params), n*K, from.buffer, o.whole(args.A), o.whole(args.B), to.buffer)
		})
		first += b.Rows
	}
}

// eachLowRankBlock calls do with the first row, the number of rows and the group of each block that has a group.
func eachLowRankBlock(blocks []op.LowRankBlock, do func(first, rows, group int)) {
	first := 0
	for _, b := range blocks {
		if b.Group >= 0 {
			do(first, b.Rows, b.Group)
		}
		first += b.Rows
	}
}
