package webgpu

import (
	"fmt"
	"math"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) hadamard(args *op.Hadamard[*Tensor]) { o.transform(args, o.whole(args.X), nil, 0, 0) }

// normHadamard records a Hadamard together with the RMSNorm before it.
func (o *Ops) normHadamard(norm *op.RMSNorm[*Tensor], args *op.Hadamard[*Tensor]) {
	o.transform(args, o.whole(norm.H), o.whole(norm.Gain), norm.Epsilon(), wgsl.HadamardOfNorm)
}

// transform records a Hadamard of what source computes from x.
func (o *Ops) transform(args *op.Hadamard[*Tensor], x, gain *gpu.Buffer, eps float64, source uint32) {
	n, D := rowsOf(args.Y)
	if args.Block > wgsl.HadamardMaxBlock {
		o.dev.Fail(fmt.Errorf("webgpu: a Hadamard transform of %d numbers: want %d at most", args.Block, wgsl.HadamardMaxBlock))
		return
	}
	together := 1
	if source == wgsl.HadamardOfNorm {
		together = D / args.Block
	}
	params := wgsl.HadamardParams{
		Blocks: uint32(n * D / args.Block), Width: uint32(D), Inverse: flag(args.Inverse), Scale: float32(1 / math.Sqrt(float64(args.Block))),
		Eps: float32(eps), Together: uint32(together),
	}
	v := variant{kernel: wgsl.Hadamard, block: uint32(args.Block), source: source}
	if x == o.whole(args.Y) {
		v.inPlace, x = true, nil
	}
	if D >= 1024 && o.dev.Limits().MaxInvocationsPerWorkgroup >= 256 {
		v.workgroup = 256
	}
	o.dispatch(v, gpu.Params(&params), n*D/args.Block/together, 1, x, o.whole(args.Signs), gain, o.whole(args.Y))
}

// fuseHadamard finds the in-place Hadamard of a tensor that was just made, which then need not be written before the
// transform.
func (o *Ops) fuseHadamard(made *Tensor, p op.Program[*Tensor]) (*op.Hadamard[*Tensor], bool) {
	h, ok := second[*op.Hadamard[*Tensor]](p)
	return h, ok && h.X == made && h.Y == made && !h.Inverse
}
