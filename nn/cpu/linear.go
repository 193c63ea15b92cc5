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

// roundInt8 returns x with each row rounded as Linear says. The rounding is decided in float32, as where the models were trained.
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
	if args.Int8 && dw != nil {
		x = roundInt8(x)
	}
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
	cols := q.Shape[1]
	if q.Group > 0 {
		quantizeGroups(q, w, 0, q.Shape[0])
		return
	}
	first := 0
	for b, rows := range blocksToQuantize(args) {
		block := w.Data[first*cols : (first+rows)*cols]
		gamma := ternary.Gamma(block)
		scale := gamma
		if args.HalfEven { // decided in float32, as it is where the models come from
			least, one := ternary.HalfEven(float32(gamma))
			gamma, scale = F(2*least), F(one)
		}
		ternary.Quantize(q.codes(first, rows), block, rows, cols, gamma)
		setScales(q, args.RowBlocks != nil, b, first, rows, scale)
		first += rows
	}
}

// blocksToQuantize returns the numbers of rows of the blocks that have a γ each.
func blocksToQuantize[F Float](args *op.Quantize[*Tensor[F]]) []int {
	if args.RowBlocks != nil {
		return args.RowBlocks
	}
	equal := make([]int, len(args.Q.Scales))
	for b := range equal {
		equal[b] = args.Q.Shape[0] / len(equal)
	}
	return equal
}

// setScales stores the scale of block b, or that of each of its rows.
func setScales[F Float](q *Tensor[F], each bool, b, first, rows int, scale F) {
	if !each {
		q.Scales[b] = scale
		return
	}
	for r := first; r < first+rows; r++ {
		q.Scales[r] = scale
	}
}

// quantizeGroups quantises a range of rows by groups.
func quantizeGroups[F Float](q, w *Tensor[F], from, to int) {
	cols := q.Shape[1]
	for r := from; r < to; r++ {
		row := q.codes(r, 1)
		for c := 0; c < cols; c += q.Group {
			q.GroupScales[(r*cols+c)/q.Group] = ternary.QuantizeGroup(row, c, w.Data[r*cols+c:r*cols+c+q.Group]).Bits()
		}
	}
}
