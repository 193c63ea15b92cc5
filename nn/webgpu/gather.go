package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// sequencesOf returns how many sequences an operation with states in slots takes.
func sequencesOf(states, slots *Tensor) int {
	if slots == nil {
		return states.shape[0]
	}
	return slots.shape[0]
}

func (o *Ops) gather(args *op.Gather[*Tensor]) {
	o.move(wgsl.Gather, args.Dst, args.Src, args.Dst, args.Slots)
}

func (o *Ops) scatter(args *op.Scatter[*Tensor]) {
	o.move(wgsl.Scatter, args.Src, args.Src, args.Dst, args.Slots)
}

// move copies the rows of src to dst; listed has one row per copied row.
func (o *Ops) move(kernel *wgsl.Kernel, listed, src, dst, slots *Tensor) {
	n, each := rowsOf(listed)
	params := wgsl.GatherParams{N: uint32(n), Width: uint32(each)}
	o.each(variant{kernel: kernel}, gpu.Params(&params), n*each, o.whole(src), o.whole(slots), o.whole(dst))
}
