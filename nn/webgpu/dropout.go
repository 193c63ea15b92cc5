package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

func (o *Ops) Dropout(x, seed *Tensor, site uint32, rate float32) {
	nn.Check("Dropout: seed", seed.shape, 1)
	n := nn.Count(x.shape)
	params := wgsl.DropoutParams{N: uint32(n), Site: site, Rate: rate}
	o.each(variant{kernel: wgsl.Dropout}, gpu.Params(&params), n, o.whole(seed), o.whole(x))
}
