package cpu

import "bitgpu/nn/op"

func (s *Scalar[F]) head(args *op.Head[*Tensor[F]]) {
	logits, x, head, from := args.Logits, args.X, args.W, args.From
	m, D := logits.Shape[0], head.Shape[1]
	rows := &Tensor[F]{Shape: []int{m, D}, Data: x.Data[from*D : (from+m)*D]}
	matmul(logits, nil, rows, head)
}

func (s *Scalar[F]) headBackward(args *op.HeadBackward[*Tensor[F]]) {
	dx, dhead, dlogits, x, head, from := args.DX, args.DW, args.DLogits, args.X, args.W, args.From
	m, V := rowsOf(dlogits)
	D := head.Shape[1]
	for i := range m {
		at := (from + i) * D
		dxi := dx.Data[at : at+D]
		clear(dxi)
		for v := range V {
			d := dlogits.Data[i*V+v]
			axpy(dxi, d, head.Data[v*D:(v+1)*D])
			axpy(dhead.Data[v*D:(v+1)*D], d, x.Data[at:at+D])
		}
	}
}
