package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) stepSize(args *op.StepSize[*Tensor]) {
	b, x, w, bias := args.Beta, args.X, args.W, args.Bias
	n, D := rowsOf(x)
	h := w.shape[0]
	params := wgsl.StepSizeParams{Count: uint32(n * h), Heads: uint32(h), Width: uint32(D)}
	o.dispatch(variant{kernel: wgsl.StepSize}, gpu.Params(&params), n*h, 1, o.whole(x), o.whole(w), o.whole(bias), o.whole(b))
}

func (o *Ops) stepSizeBackward(args *op.StepSizeBackward[*Tensor]) {
	dx, dw, dbias, db, b, x, w := args.DX, args.DW, args.DBias, args.DBeta, args.Beta, args.X, args.W
	n, D := rowsOf(x)
	h := w.shape[0]
	params := wgsl.StepSizeBackwardParams{N: uint32(n), Heads: uint32(h), Width: uint32(D)}
	buffers := []*gpu.Buffer{o.whole(db), o.whole(b), o.whole(x), o.whole(w), o.whole(dx), o.whole(dw), o.whole(dbias)}
	o.each(variant{kernel: wgsl.StepSizeDX}, gpu.Params(&params), n*D, buffers...)
	if dw == nil {
		return
	}
	o.dispatchGrid(variant{kernel: wgsl.StepSizeDW}, gpu.Params(&params), uint32(ceil(D+1, wgsl.ColumnsTogether)), uint32(h), 1, buffers...)
}
