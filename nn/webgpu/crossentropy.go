package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) crossEntropy(args *op.CrossEntropy[*Tensor]) {
	loss, logits, targets, from, scale := args.Loss, args.Logits, args.Targets, args.From, args.Scale
	m, V := rowsOf(logits)
	params := wgsl.CrossEntropyParams{N: uint32(m), Vocab: uint32(V), Start: uint32(from), Scale: scale}
	buffers := []*gpu.Buffer{o.whole(logits), o.whole(targets), o.scratch("losses", m), o.whole(loss)}
	o.dispatch(variant{kernel: wgsl.CrossEntropy}, gpu.Params(&params), m, 1, buffers...)
	o.dispatch(variant{kernel: wgsl.CrossEntropyTotal}, gpu.Params(&params), 1, 1, buffers...)
}
