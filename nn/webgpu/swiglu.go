package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

func (o *Ops) NormSwiGLU(a, gu, x, h, gain, w *Tensor) {
	n, D := rowsOf(h)
	H := w.shape[0] / 2
	nn.Check("NormSwiGLU: weight", w.shape, 2*H, D)
	nn.Check("NormSwiGLU: output", a.shape, n, H)
	nn.Check("NormSwiGLU: gain", gain.shape, D)
	if x == nil {
		x = o.scratchTensor("normed", n, D)
	}
	if gu == nil {
		gu = o.scratchTensor("gate and up", n, 2*H)
	}
	nn.Check("NormSwiGLU: normalised input", x.shape, n, D)
	nn.Check("NormSwiGLU: gate and up", gu.shape, n, 2*H)
	params := wgsl.SwiGLUParams{
		N: uint32(n), Width: uint32(D), Stride: w.stride(), Hidden: uint32(H), BlockRows: w.blockRows(), Absmean: flag(w.absmean),
	}
	buffers := []*gpu.Buffer{o.whole(h), o.whole(gain), w.parts[0].buffer, w.scales, o.whole(x), o.whole(gu), o.whole(a)}
	if len(w.parts) > 1 { // gate and up of one unit lie in different parts
		o.linear(gu, nil, h, gain, x, w)
		o.each(variant{kernel: wgsl.SwiGLUActivate, format: nn.Ternary}, gpu.Params(&params), n*H, buffers...)
		return
	}
	o.product(wgsl.SwiGLUVector, wgsl.SwiGLUMatrix, variant{format: w.format, norm: true}, gpu.Params(&params),
		n, ceil(H, 2), w.stride(), buffers...)
}

// scratchTensor is scratch memory as a tensor.
func (o *Ops) scratchTensor(name string, shape ...int) *Tensor {
	return &Tensor{shape: shape, parts: []part{{o.scratch(name, nn.Count(shape)), 0, shape[0]}}}
}

func (o *Ops) SwiGLUBackward(dgu, da, gu *Tensor) {
	n, H := rowsOf(da)
	nn.Check("SwiGLUBackward: gate and up", gu.shape, n, 2*H)
	nn.Check("SwiGLUBackward: gradient of gate and up", dgu.shape, n, 2*H)
	params := wgsl.SwiGLUBackwardParams{N: uint32(n), Hidden: uint32(H)}
	o.each(variant{kernel: wgsl.SwiGLUBackward}, gpu.Params(&params), n*H, o.whole(da), o.whole(gu), o.whole(dgu))
}
