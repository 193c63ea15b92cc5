package cpu

import "bitgpu/nn/op"

func (s *Scalar[F]) copyColumns(a *op.CopyColumns[*Tensor[F]]) {
	n, from := rowsOf(a.Src)
	_, to := rowsOf(a.Dst)
	for i := range n {
		copy(a.Dst.Data[i*to+a.DstFrom:][:a.N], a.Src.Data[i*from+a.SrcFrom:])
	}
}
