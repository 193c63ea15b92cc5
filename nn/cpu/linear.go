package cpu

import (
	"math"

	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// matmul writes y (n, R) = r + x (n, K) · wᵀ; r may be nil.
func matmul[F Float](y, r, x, w *Tensor[F]) {
	n, K := rowsOf(x)
	R := w.Shape[0]
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

func (s *Scalar[F]) linear(args *op.Linear[*Tensor[F]]) {
	x := args.X
	if args.Int8 {
		x = roundInt8(x)
	}
	matmul(args.Y, args.Addend, x, args.W)
}

// minPeak keeps a row of zeros from being divided by zero when it is rounded.
const minPeak = 1e-5

// roundInt8 is x with each row rounded as Linear says. What decides is float32, as it is where the models come from.
func roundInt8[F Float](x *Tensor[F]) *Tensor[F] {
	n, K := rowsOf(x)
	out := &Tensor[F]{Shape: []int{n, K}, Data: make([]F, n*K)}
	for i := range n {
		roundRow(out.Data[i*K:(i+1)*K], x.Data[i*K:(i+1)*K])
	}
	return out
}

func roundRow[F Float](out, x []F) {
	peak := float32(minPeak)
	for _, v := range x {
		peak = max(peak, float32(math.Abs(float64(v))))
	}
	t := 127 / peak
	for j, v := range x {
		q := math.RoundToEven(float64(float32(v) * t))
		out[j] = F(max(-128, min(127, q))) / F(t)
	}
}

func (s *Scalar[F]) linearBackward(args *op.LinearBackward[*Tensor[F]]) {
	dx, dw, dy, x, w := args.DX, args.DW, args.DY, args.X, args.W
	n, K := rowsOf(x)
	R := w.Shape[0]
	clear(dx.Data[:n*K])
	row := make([]F, K)
	for j := range R {
		w.row(row, j)
		for i := range n {
			dyij := dy.Data[i*R+j]
			axpy(dx.Data[i*K:(i+1)*K], dyij, row)
			if dw != nil {
				axpy(dw.Data[j*K:(j+1)*K], dyij*w.straight(j), x.Data[i*K:(i+1)*K])
			}
		}
	}
}

func (s *Scalar[F]) quantize(args *op.Quantize[*Tensor[F]]) {
	q, w := args.Q, args.W
	rows, cols := q.Shape[0], q.Shape[1]
	each := rows / len(q.Scales)
	stride := each * ternary.RowBytes(cols)
	for b := range q.Scales {
		block := w.Data[b*each*cols : (b+1)*each*cols]
		q.Scales[b] = ternary.Gamma(block)
		ternary.Quantize(q.Codes[b*stride:(b+1)*stride], block, each, cols, q.Scales[b])
	}
}
