package cpu

import (
	"bitgpu/nn/ternary"
)

// matmul writes y (n, R) = r + x (n, K) · wᵀ; r may be nil.
func matmul[F Float](y, r, x, w *Tensor[F]) {
	n, K := rowsOf(x)
	R := w.Shape[0]
	checkLinear(y, r, x, w)
	row := make([]F, K)
	for j := range R {
		w.row(row, j)
		for i := range n {
			sum := dot(x.Data[i*K:(i+1)*K], row)
			if r != nil {
				sum += r.Data[i*R+j]
			}
			y.Data[i*R+j] = sum
		}
	}
}

func (s *Scalar[F]) NormLinear(y, x, h, gain, w *Tensor[F]) {
	checkNorm(x, h, gain)
	normRows(x, h, gain, 0, h.Shape[0])
	matmul(y, nil, x, w)
}

func (s *Scalar[F]) LinearAdd(y, r, x, w *Tensor[F]) { matmul(y, r, x, w) }

func (s *Scalar[F]) LinearBackward(dx, dw, dy, x, w *Tensor[F]) {
	checkLinearBackward(dx, dw, dy, x, w)
	n, K := rowsOf(x)
	R := w.Shape[0]
	clear(dx.Data[:n*K])
	row := make([]F, K)
	for j := range R {
		w.row(row, j)
		for i := range n {
			dyij := dy.Data[i*R+j]
			axpy(dx.Data[i*K:(i+1)*K], dyij, row)
			axpy(dw.Data[j*K:(j+1)*K], dyij*w.straight(j), x.Data[i*K:(i+1)*K])
		}
	}
}

func (s *Scalar[F]) Quantize(q, w *Tensor[F]) {
	checkQuantize(q, w)
	rows, cols := q.Shape[0], q.Shape[1]
	each := rows / len(q.Scales)
	stride := each * ternary.RowBytes(cols)
	for b := range q.Scales {
		block := w.Data[b*each*cols : (b+1)*each*cols]
		q.Scales[b] = ternary.Gamma(block)
		ternary.Quantize(q.Codes[b*stride:(b+1)*stride], block, each, cols, q.Scales[b])
	}
}
