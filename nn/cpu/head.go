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
	clear(dx.Data[from*D : (from+m)*D])
	row := make([]F, D)
	for v := range V {
		head.row(row, v)
		for i := range m {
			d, at := dlogits.Data[i*V+v], (from+i)*D
			axpy(dx.Data[at:at+D], d, row)
			if dhead != nil {
				axpy(dhead.Data[v*D:(v+1)*D], d, x.Data[at:at+D])
			}
		}
	}
}
