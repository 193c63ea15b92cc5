package cpu

import (
	"math"

	"bitgpu/nn/op"
)

func sigmoid[F Float](x F) F { return F(1 / (1 + math.Exp(-float64(x)))) }

// silu returns x·σ(x).
func silu[F Float](x F) F { return x * sigmoid(x) }

// siluSlope returns the derivative of silu: σ(x)·(1 + x·(1 − σ(x))).
func siluSlope[F Float](x F) F {
	s := sigmoid(x)
	return s * (1 + x*(1-s))
}

func (s *Scalar[F]) swiGLU(args *op.SwiGLU[*Tensor[F]]) {
	a, gu := args.A, args.GateUp
	n, H := rowsOf(a)
	for i := range n {
		gate, up := gu.Data[2*i*H:(2*i+1)*H], gu.Data[(2*i+1)*H:(2*i+2)*H]
		for j := range H {
			a.Data[i*H+j] = silu(gate[j]) * up[j]
		}
	}
}

func (s *Scalar[F]) swiGLUBackward(args *op.SwiGLUBackward[*Tensor[F]]) {
	dgu, da, gu := args.DGateUp, args.DA, args.GateUp
	n, H := rowsOf(da)
	for i := range n {
		for j := range H {
			g, u, d := 2*i*H+j, (2*i+1)*H+j, da.Data[i*H+j]
			dgu.Data[g] = d * gu.Data[u] * siluSlope(gu.Data[g])
			dgu.Data[u] = d * silu(gu.Data[g])
		}
	}
}
