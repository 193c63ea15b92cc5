package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// squareGroups is the largest number of workgroups that sum squares before their sums are added up.
const squareGroups = 256

func (o *Ops) sumSquares(args *op.SumSquares[*Tensor]) {
	sum, g := args.Sum, args.G
	each := op.Count(g.shape[1:])
	for _, p := range g.parts {
		n := p.rows * each
		groups := min(ceil(n, int(o.workgroup)), squareGroups)
		params := wgsl.SquareParams{N: uint32(n), Groups: uint32(groups)}
		buffers := []*gpu.Buffer{p.buffer, o.scratch("partial sums", squareGroups), o.whole(sum)}
		o.dispatch(variant{kernel: wgsl.SquareSums}, gpu.Params(&params), groups, 1, buffers...)
		o.dispatch(variant{kernel: wgsl.SquareTotal}, gpu.Params(&params), 1, 1, buffers...)
	}
}

func (o *Ops) adamW(args *op.AdamW[*Tensor]) {
	w, m, v, g, sumSquares, hyper := args.W, args.M, args.V, args.G, args.SumSquares, args.Hyper
	each := op.Count(w.shape[1:])
	for i, p := range w.parts {
		params := wgsl.AdamWParams{N: uint32(p.rows * each)}
		if args.Log {
			params.Log = 1
		}
		o.each(variant{kernel: wgsl.AdamW}, gpu.Params(&params), p.rows*each, p.buffer, m.parts[i].buffer, v.parts[i].buffer,
			g.parts[i].buffer, o.whole(sumSquares), o.whole(hyper))
	}
}
