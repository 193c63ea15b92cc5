package cpu

import "bitgpu/nn/op"

// eachLowRankBlock calls do with the first row, the number of rows and the group of each block that has a group.
func eachLowRankBlock(blocks []op.LowRankBlock, do func(first, rows, group int)) {
	first := 0
	for _, b := range blocks {
		if b.Group >= 0 {
			do(first, b.Rows, b.Group)
		}
		first += b.Rows
	}
}

func (s *Scalar[F]) lowRank(a *op.LowRank[*Tensor[F]]) {
	n, K := rowsOf(a.X)
	R, r, of := a.B.Shape[0], a.B.Shape[1], a.A.Shape[0]
	X := a.X
	if a.Int8 {
		X = roundInt8(X)
	}
	for i := range n {
		low, x := a.Low.Data[i*of:(i+1)*of], X.Data[i*K:(i+1)*K]
		for j := range low {
			low[j] = dot(x, a.A.Data[j*K:(j+1)*K])
		}
		if a.Y == nil {
			continue
		}
		eachLowRankBlock(a.Blocks, func(first, rows, group int) {
			for o := first; o < first+rows; o++ {
				a.Y.Data[i*R+o] += F(a.Scale) * dot(a.B.Data[o*r:(o+1)*r], low[group*r:(group+1)*r])
			}
		})
	}
}

func (s *Scalar[F]) lowRankBackward(a *op.LowRankBackward[*Tensor[F]]) {
	n, K := rowsOf(a.X)
	R, r, of := a.B.Shape[0], a.B.Shape[1], a.A.Shape[0]
	clear(a.DLow.Data[:n*of])
	X := a.X
	if a.Int8 {
		X = roundInt8(X)
	}
	for i := range n {
		low, dlow := a.Low.Data[i*of:(i+1)*of], a.DLow.Data[i*of:(i+1)*of]
		eachLowRankBlock(a.Blocks, func(first, rows, group int) {
			for o := first; o < first+rows; o++ {
				d := F(a.Scale) * a.DY.Data[i*R+o]
				axpy(dlow[group*r:(group+1)*r], d, a.B.Data[o*r:(o+1)*r])
				axpy(a.DB.Data[o*r:(o+1)*r], d, low[group*r:(group+1)*r])
			}
		})
		for j, d := range dlow {
			axpy(a.DA.Data[j*K:(j+1)*K], d, X.Data[i*K:(i+1)*K])
			if a.DX != nil {
				axpy(a.DX.Data[i*K:(i+1)*K], d, a.A.Data[j*K:(j+1)*K])
			}
		}
	}
}

func (s *Scalar[F]) lowRankMerge(a *op.LowRankMerge[*Tensor[F]]) {
	_, K := rowsOf(a.W)
	r := a.B.Shape[1]
	copy(a.W.Data, a.Base.Data)
	eachLowRankBlock(a.Blocks, func(first, rows, group int) {
		for o := first; o < first+rows; o++ {
			for j, b := range a.B.Data[o*r : (o+1)*r] {
				axpy(a.W.Data[o*K:(o+1)*K], F(a.Scale)*b, a.A.Data[(group*r+j)*K:][:K])
			}
		}
	})
}
