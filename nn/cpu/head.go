package cpu

func (s *Scalar[F]) NormHead(logits, x, h, gain, head *Tensor[F], from int) {
	checkNormHead(logits, x, h, gain, head, from)
	m, D := logits.Shape[0], gain.Shape[0]
	normRows(x, h, gain, from, m)
	rows := &Tensor[F]{Shape: []int{m, D}, Data: x.Data[from*D : (from+m)*D]}
	matmul(logits, nil, rows, head)
}

func (s *Scalar[F]) HeadBackward(dx, dhead, dlogits, x, head *Tensor[F], from int) {
	checkHeadBackward(dx, dhead, dlogits, x, head, from)
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
