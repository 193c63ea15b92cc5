package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

func (o *Ops) RMSNormBackward(dh, dgain, dx, h, gain *Tensor) {
	n, D := rowsOf(h)
	nn.Check("RMSNormBackward: gradient of the input", dh.shape, n, D)
	nn.Check("RMSNormBackward: gradient of the output", dx.shape, n, D)
	nn.Check("RMSNormBackward: gain", gain.shape, D)
	nn.Check("RMSNormBackward: gradient of the gain", dgain.shape, D)
	o.rmsnormBackward(n, D, o.whole(dh), o.whole(dgain), o.whole(dx), o.whole(h), o.whole(gain))
}

// rmsnormBackward is RMSNormBackward for n rows of D.
func (o *Ops) rmsnormBackward(n, D int, dh, dgain, dx, h, gain *gpu.Buffer) {
	params := wgsl.RMSNormParams{N: uint32(n), Width: uint32(D)}
	buffers := []*gpu.Buffer{dx, h, gain, o.scratch("roots", n), dh, dgain}
	o.dispatch(variant{kernel: wgsl.RMSNormBackward}, gpu.Params(&params), n, 1, buffers...)
	o.dispatch(variant{kernel: wgsl.RMSNormGain}, gpu.Params(&params), ceil(D, wgsl.ColumnsTogether), 1, buffers...)
}
