package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

func (o *Ops) Step(b, x, w, bias *Tensor) {
	n, D := rowsOf(x)
	h := w.shape[0]
	nn.Check("Step: output", b.shape, n, h)
	nn.Check("Step: weight", w.shape, h, D)
	nn.Check("Step: bias", bias.shape, h)
	params := wgsl.StepParams{Count: uint32(n * h), Heads: uint32(h), Width: uint32(D)}
	o.dispatch(variant{kernel: wgsl.Step}, gpu.Params(&params), n*h, 1, o.whole(x), o.whole(w), o.whole(bias), o.whole(b))
}
