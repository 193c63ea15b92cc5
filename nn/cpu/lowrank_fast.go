package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// lowRank takes a few rows one by one, as matmul does, so that a row's result does not depend on the other rows.
func (o *Ops) lowRank(a *op.LowRank[*Tensor[float32]]) {
	n, K := rowsOf(a.X)
	R, r, of := a.B.Shape[0], a.B.Shape[1], a.A.Shape[0]
	if a.Y == nil {
		x := a.X
		if a.Int8 {
			x = o.roundInt8(x)
		}
		simd.Gemm(n, of, K, 1, x.Data, K, false, a.A.Data, K, true, 0, a.Low.Data, of)
		return
	}
	if n <= fewRows {
		simd.MatMul(a.Low.Data, a.A.Data, a.X.Data, of, K, n)
		first := 0
		for _, b := range a.Blocks {
			if b.Group >= 0 {
				o.job.op, o.job.from, o.job.group = a, first, b.Group
				o.rows(b.Rows, max(1, (1<<14)/(n*r)), fewLowRank)
			}
			first += b.Rows
		}
		return
	}
	simd.Gemm(n, of, K, 1, a.X.Data, K, false, a.A.Data, K, true, 0, a.Low.Data, of)
	eachLowRankBlock(a.Blocks, func(first, rows, group int) {
		simd.Gemm(n, rows, r, a.Scale, a.Low.Data[group*r:], of, false, a.B.Data[first*r:], r, true, 1, a.Y.Data[first:], R)
	})
}

// fewLowRank adds the products with some rows of one block of B.
func fewLowRank(j *job, start, end int) {
	a := j.op.(*op.LowRank[*Tensor[float32]])
	R, r, of := a.B.Shape[0], a.B.Shape[1], a.A.Shape[0]
	for o := j.from + start; o < j.from+end; o++ {
		row := a.B.Data[o*r : (o+1)*r]
		for i := range a.X.Shape[0] {
			a.Y.Data[i*R+o] += a.Scale * simd.Dot(row, a.Low.Data[i*of+j.group*r:][:r])
		}
	}
}

func (o *Ops) lowRankBackward(a *op.LowRankBackward[*Tensor[float32]]) {
	n, K := rowsOf(a.X)
	R, r, of := a.B.Shape[0], a.B.Shape[1], a.A.Shape[0]
	clear(a.DLow.Data[:n*of])
	eachLowRankBlock(a.Blocks, func(first, rows, group int) {
		simd.Gemm(n, r, rows, a.Scale, a.DY.Data[first:], R, false, a.B.Data[first*r:], r, false, 1, a.DLow.Data[group*r:], of)
		simd.Gemm(rows, r, n, a.Scale, a.DY.Data[first:], R, true, a.Low.Data[group*r:], of, false, 1, a.DB.Data[first*r:], r)
	})
	x := a.X
	if a.Int8 {
		x = o.roundInt8(x)
	}
	simd.Gemm(of, K, n, 1, a.DLow.Data, of, true, x.Data, K, false, 1, a.DA.Data, K)
	if a.DX != nil {
		simd.Gemm(n, K, of, 1, a.DLow.Data, of, false, a.A.Data, K, false, 1, a.DX.Data, K)
	}
}

func (o *Ops) lowRankMerge(a *op.LowRankMerge[*Tensor[float32]]) {
	_, K := rowsOf(a.W)
	r := a.B.Shape[1]
	copy(a.W.Data, a.Base.Data)
	eachLowRankBlock(a.Blocks, func(first, rows, group int) {
		simd.Gemm(rows, K, r, a.Scale, a.B.Data[first*r:], r, false, a.A.Data[group*r*K:], K, false, 1, a.W.Data[first*K:], K)
	})
}
