package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

func (o *Ops) swiGLU(args *op.SwiGLU[*Tensor[float32]]) {
	a, gu := args.A, args.GateUp
	n, _ := rowsOf(a)
	o.rows(n, 4, func(j *job, start, end int) {
		a, gu := j.t[0], j.t[1]
		H := a.Shape[1]
		for i := start; i < end; i++ {
			simd.SiluMul(a.Data[i*H:(i+1)*H], gu.Data[2*i*H:(2*i+1)*H], gu.Data[(2*i+1)*H:(2*i+2)*H])
		}
	}, a, gu)
}

func (o *Ops) swiGLUBackward(args *op.SwiGLUBackward[*Tensor[float32]]) {
	dgu, da, gu := args.DGateUp, args.DA, args.GateUp
	n, _ := rowsOf(da)
	o.rows(n, 4, func(j *job, start, end int) {
		dgu, da, gu := j.t[0].Data, j.t[1].Data, j.t[2].Data
		H := j.t[1].Shape[1]
		for i := start; i < end; i++ {
			g, u, to := 2*i*H, (2*i+1)*H, (2*i+2)*H
			simd.SiluMulBackward(dgu[g:u], dgu[u:to], da[i*H:(i+1)*H], gu[g:u], gu[u:to])
		}
	}, dgu, da, gu)
}
