package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

// stepped is a Step that is not recorded yet; b is nil where there is none.
type stepped struct{ b, x, w, bias *Tensor }

func (o *Ops) Step(b, x, w, bias *Tensor) {
	n, D := rowsOf(x)
	h := w.shape[0]
	nn.Check("Step: output", b.shape, n, h)
	nn.Check("Step: weight", w.shape, h, D)
	nn.Check("Step: bias", bias.shape, h)
	o.settle()
	o.stepped = stepped{b, x, w, bias}
}

func (o *Ops) recordStep(b, x, w, bias *Tensor) {
	n, D := rowsOf(x)
	h := w.shape[0]
	params := wgsl.StepParams{Count: uint32(n * h), Heads: uint32(h), Width: uint32(D)}
	o.dispatch(variant{kernel: wgsl.Step}, gpu.Params(&params), n*h, 1, o.whole(x), o.whole(w), o.whole(bias), o.whole(b))
}

func (o *Ops) StepBackward(dx, dw, dbias, db, b, x, w *Tensor) {
	n, D := rowsOf(x)
	h := w.shape[0]
	nn.Check("StepBackward: weight", w.shape, h, D)
	nn.Check("StepBackward: gradient of the weight", dw.shape, h, D)
	nn.Check("StepBackward: gradient of the bias", dbias.shape, h)
	nn.Check("StepBackward: output", b.shape, n, h)
	nn.Check("StepBackward: gradient of the output", db.shape, n, h)
	nn.Check("StepBackward: gradient of the input", dx.shape, n, D)
	params := wgsl.StepBackwardParams{N: uint32(n), Heads: uint32(h), Width: uint32(D)}
	buffers := []*gpu.Buffer{o.whole(db), o.whole(b), o.whole(x), o.whole(w), o.whole(dx), o.whole(dw), o.whole(dbias)}
	o.each(variant{kernel: wgsl.StepDX}, gpu.Params(&params), n*D, buffers...)
	o.dispatchGrid(variant{kernel: wgsl.StepDW}, gpu.Params(&params), uint32(ceil(D+1, wgsl.ColumnsTogether)), uint32(h), 1, buffers...)
}
