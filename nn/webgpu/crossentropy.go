package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

func (o *Ops) CrossEntropy(loss, logits, targets *Tensor, from int, scale float32) {
	m, V := rowsOf(logits)
	nn.Check("CrossEntropy: loss", loss.shape, 1)
	if n := targets.shape[0]; from < 0 || from+m > n {
		nn.Check("CrossEntropy: logits", logits.shape, n-from, V)
	}
	params := wgsl.CrossEntropyParams{N: uint32(m), Vocab: uint32(V), Start: uint32(from), Scale: scale}
	buffers := []*gpu.Buffer{o.whole(logits), o.whole(targets), o.scratch("losses", m), o.whole(loss)}
	o.dispatch(variant{kernel: wgsl.CrossEntropy}, gpu.Params(&params), m, 1, buffers...)
	o.dispatch(variant{kernel: wgsl.CrossEntropyTotal}, gpu.Params(&params), 1, 1, buffers...)
}
