package webgpu

import (
	"errors"

	"bitgpu/nn"
)

var errNoTraining = errors.New("webgpu: training runs on the CPU only")

func (o *Ops) EmbedBackward(dtable, dh, tokens *Tensor)              { o.dev.Fail(errNoTraining) }
func (o *Ops) RMSNormBackward(dh, dgain, dx, h, gain *Tensor)        { o.dev.Fail(errNoTraining) }
func (o *Ops) LinearBackward(dx, dw, dy, x, w *Tensor)               { o.dev.Fail(errNoTraining) }
func (o *Ops) SwiGLUBackward(dgu, da, gu *Tensor)                    { o.dev.Fail(errNoTraining) }
func (o *Ops) TiedScanBackward(df, dz, f, starts *Tensor, s nn.Scan) { o.dev.Fail(errNoTraining) }
func (o *Ops) StepBackward(dx, dw, dbias, db, b, x, w *Tensor)       { o.dev.Fail(errNoTraining) }
func (o *Ops) HeadBackward(dx, dhead, dlogits, x, head *Tensor, from int) {
	o.dev.Fail(errNoTraining)
}
func (o *Ops) CrossEntropy(loss, logits, targets *Tensor, from int, scale float32) {
	o.dev.Fail(errNoTraining)
}
func (o *Ops) Quantize(q, w *Tensor)                       { o.dev.Fail(errNoTraining) }
func (o *Ops) SumSquares(sum, g *Tensor)                   { o.dev.Fail(errNoTraining) }
func (o *Ops) AdamW(w, m, v, g, sumSquares, hyper *Tensor) { o.dev.Fail(errNoTraining) }

func (o *Ops) DeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts *Tensor, chunk int) {
	o.dev.Fail(errNoTraining)
}
