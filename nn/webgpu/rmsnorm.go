package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) rmsNorm(args *op.RMSNorm[*Tensor]) {
	x, h := args.X, args.H
	if args.Kept != nil {
		o.copyTensors(&op.Copy[*Tensor]{Dst: args.Kept, Src: h, N: h.shape[0] * h.shape[1]})
	}
	from, n := args.Span(h.shape[0])
	params := wgsl.RMSNormForwardParams{N: uint32(n), Width: uint32(h.shape[1]), Start: uint32(from), Eps: float32(args.Epsilon())}
	v, source := variant{kernel: wgsl.RMSNorm}, o.whole(h)
	if source == o.whole(x) {
		v.inPlace, source = true, nil
	}
	o.dispatch(v, gpu.Params(&params), n, 1, source, o.whole(args.Gain), o.whole(x))
}

func (o *Ops) rmsNormBackward(args *op.RMSNormBackward[*Tensor]) {
	dh, dgain, dx, h, gain := args.DH, args.DGain, args.DX, args.H, args.Gain
	n, D := rowsOf(h)
	o.normBackward(n, D, args.Epsilon(), o.whole(dh), o.whole(dgain), o.whole(dx), o.whole(h), o.whole(gain))
}

// normBackward records an RMSNormBackward of n rows of width D.
func (o *Ops) normBackward(n, D int, eps float64, dh, dgain, dx, h, gain *gpu.Buffer) {
	params := wgsl.RMSNormParams{N: uint32(n), Width: uint32(D), Eps: float32(eps)}
	buffers := []*gpu.Buffer{dx, h, gain, o.scratch("roots", n), dh, dgain}
	o.dispatch(variant{kernel: wgsl.RMSNormBackward}, gpu.Params(&params), n, 1, buffers...)
	if dgain == nil {
		return
	}
	o.dispatch(variant{kernel: wgsl.RMSNormGain}, gpu.Params(&params), ceil(D, wgsl.ColumnsTogether), 1, buffers...)
}
