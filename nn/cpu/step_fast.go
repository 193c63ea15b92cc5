package cpu

import (
	"math"

	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

func (o *Ops) stepSize(args *op.StepSize[*Tensor[float32]]) {
	b, x, w, bias := args.Beta, args.X, args.W, args.Bias
	n, _ := rowsOf(b)
	o.rows(n, 32, func(j *job, start, end int) {
		b, x, w, bias := j.t[0], j.t[1], j.t[2], j.t[3]
		h, D := w.Shape[0], w.Shape[1]
		for i := start; i < end; i++ {
			for k := range h {
				s := simd.Dot(x.Data[i*D:(i+1)*D], w.Data[k*D:(k+1)*D]) + bias.Data[k]
				b.Data[i*h+k] = float32(1 / (1 + math.Exp(-float64(s))))
			}
		}
	}, b, x, w, bias)
}

func (o *Ops) stepSizeBackward(args *op.StepSizeBackward[*Tensor[float32]]) {
	dx, dw, dbias, db, b, x, w := args.DX, args.DW, args.DBias, args.DBeta, args.Beta, args.X, args.W
	n, h := rowsOf(b)
	D := w.Shape[1]
	d := room(&o.product, n*h) // gradient before the sigmoid
	for i, y := range b.Data[:n*h] {
		d[i] = db.Data[i] * y * (1 - y)
		if dbias != nil {
			dbias.Data[i%h] += d[i]
		}
	}
	simd.Gemm(n, D, h, 1, d, h, false, w.Data, D, false, 1, dx.Data, D)
	if dw != nil {
		simd.Gemm(h, D, n, 1, d, h, true, x.Data, D, false, 1, dw.Data, D)
	}
}
