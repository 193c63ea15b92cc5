package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) dropout(args *op.Dropout[*Tensor]) {
	x, seed, site, rate := args.X, args.Seed, args.Site, args.Rate
	n := op.Count(x.shape)
	params := wgsl.DropoutParams{N: uint32(n), Site: site, Rate: rate}
	o.each(variant{kernel: wgsl.Dropout}, gpu.Params(&params), n, o.whole(seed), o.whole(x))
}
