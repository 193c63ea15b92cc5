package webgpu

import (
	"fmt"
	"math"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) hadamard(args *op.Hadamard[*Tensor]) {
	n, D := rowsOf(args.X)
	if args.Block > wgsl.HadamardMaxBlock {
		o.dev.Fail(fmt.Errorf("webgpu: a Hadamard transform of %d numbers: want %d at most", args.Block, wgsl.HadamardMaxBlock))
		return
	}
	params := wgsl.HadamardParams{
		Blocks: uint32(n * D / args.Block), Width: uint32(D), Inverse: flag(args.Inverse), Scale: float32(1 / math.Sqrt(float64(args.Block))),
	}
	v, x := variant{kernel: wgsl.Hadamard, block: uint32(args.Block)}, o.whole(args.X)
	if x == o.whole(args.Y) {
		v.inPlace, x = true, nil
	}
	if args.Block >= 1024 && o.dev.Limits().MaxInvocationsPerWorkgroup >= 256 {
		v.workgroup = 256
	}
	o.dispatch(v, gpu.Params(&params), n*D/args.Block, 1, x, o.whole(args.Signs), o.whole(args.Y))
}
