package cpu

import "bitgpu/nn/op"

func (s *Scalar[F]) stepSize(args *op.StepSize[*Tensor[F]]) {
	b, x, w, bias := args.Beta, args.X, args.W, args.Bias
	n, h := rowsOf(b)
	D := w.Shape[1]
	for i := range n {
		for j := range h {
			b.Data[i*h+j] = sigmoid(dot(x.Data[i*D:(i+1)*D], w.Data[j*D:(j+1)*D]) + bias.Data[j])
		}
	}
}

func (s *Scalar[F]) stepSizeBackward(args *op.StepSizeBackward[*Tensor[F]]) {
	dx, dw, dbias, db, b, x, w := args.DX, args.DW, args.DBias, args.DBeta, args.Beta, args.X, args.W
	n, h := rowsOf(b)
	D := w.Shape[1]
	for i := range n {
		for j := range h {
			y := b.Data[i*h+j]
			d := db.Data[i*h+j] * y * (1 - y)
			axpy(dx.Data[i*D:(i+1)*D], d, w.Data[j*D:(j+1)*D])
			if dw != nil {
				axpy(dw.Data[j*D:(j+1)*D], d, x.Data[i*D:(i+1)*D])
			}
			if dbias != nil {
				dbias.Data[j] += d
			}
		}
	}
}
