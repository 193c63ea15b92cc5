package cpu

import (
	"bitgpu/nn"
	"bitgpu/nn/cpu/simd"
)

func (o *Ops) NormHead(logits, x, h, gain, head *Tensor[float32], from int) {
	checkNormHead(logits, x, h, gain, head, from)
	m, V := rowsOf(logits)
	D := gain.Shape[0]
	o.normRows(x, h, gain, from, m)
	rows := x.Data[from*D : (from+m)*D]
	switch {
	case head.Format == nn.F16:
		simd.MatMulF16(logits.Data, head.Half, rows, V, D, m)
	case head.Format == nn.I8:
		simd.MatMulI8(logits.Data, head.Int8, head.Scales, rows, V, D, m)
	case m <= fewRows:
		simd.MatMul(logits.Data, head.Data, rows, V, D, m)
	default:
		simd.Gemm(m, V, D, 1, rows, D, false, head.Data, D, true, 0, logits.Data, V)
	}
}

func (o *Ops) HeadBackward(dx, dhead, dlogits, x, head *Tensor[float32], from int) {
	checkHeadBackward(dx, dhead, dlogits, x, head, from)
	m, V := rowsOf(dlogits)
	D := head.Shape[1]
	at, to := from*D, (from+m)*D
	simd.Gemm(m, D, V, 1, dlogits.Data, V, false, head.Data, D, false, 0, dx.Data[at:to], D)
	simd.Gemm(V, D, m, 1, dlogits.Data, V, true, x.Data[at:to], D, false, 1, dhead.Data, D)
}
