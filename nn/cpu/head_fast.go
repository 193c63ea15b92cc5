package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

func (o *Ops) head(args *op.Head[*Tensor[float32]]) {
	logits, x, head, from := args.Logits, args.X, args.W, args.From
	m, V := rowsOf(logits)
	D := head.Shape[1]
	rows := x.Data[from*D : (from+m)*D]
	switch _, grouped := head.Format.Quants(); {
	case grouped || head.Format == op.Ternary || head.Format == op.BF16 && m > fewRows:
		o.view = Tensor[float32]{Shape: append(o.view.Shape[:0], m, D), Data: rows}
		if head.Format == op.Ternary {
			o.matmul(logits, nil, &o.view, head)
		} else {
			o.decoded(logits, nil, &o.view, head)
		}
	case head.Format == op.F16:
		simd.MatMulF16(logits.Data, head.Half, rows, V, D, m)
	case head.Format == op.BF16:
		simd.MatMulBF16(logits.Data, head.Half, rows, V, D, m)
	case head.Format == op.I8:
		simd.MatMulI8(logits.Data, head.Int8, head.Scales, rows, V, D, m)
	case m <= fewRows:
		simd.MatMul(logits.Data, head.Data, rows, V, D, m)
	default:
		simd.Gemm(m, V, D, 1, rows, D, false, head.Data, D, true, 0, logits.Data, V)
	}
}

func (o *Ops) headBackward(args *op.HeadBackward[*Tensor[float32]]) {
	dx, dhead, dlogits, x, head, from := args.DX, args.DW, args.DLogits, args.X, args.W, args.From
	m, V := rowsOf(dlogits)
	D := head.Shape[1]
	at, to := from*D, (from+m)*D
	o.inputGradient(dx.Data[at:to], dlogits.Data, head, m)
	if dhead != nil {
		simd.Gemm(V, D, m, 1, dlogits.Data, V, true, x.Data[at:to], D, false, 1, dhead.Data, D)
	}
}
