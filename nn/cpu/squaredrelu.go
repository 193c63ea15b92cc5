package cpu

import "bitgpu/nn/op"

// squaredReLURow writes a = relu(gate)²·up.
func squaredReLURow[F Float](a, gate, up []F) {
	for j := range a {
		g := gate[j]
		if g < 0 { // and not max, which would hide a NaN
			g = 0
		}
		a[j] = g * g * up[j]
	}
}

func (s *Scalar[F]) squaredReLU(a *op.SquaredReLU[*Tensor[F]]) {
	n, H := rowsOf(a.A)
	for i := range n {
		gate, up := a.GateUp.Data[2*i*H:(2*i+1)*H], a.GateUp.Data[(2*i+1)*H:(2*i+2)*H]
		squaredReLURow(a.A.Data[i*H:(i+1)*H], gate, up)
	}
}

// squaredReLUBackwardRow writes dgate and dup.
func squaredReLUBackwardRow[F Float](dgate, dup, da, gate, up []F) {
	for j := range da {
		g := gate[j]
		if g < 0 {
			g = 0
		}
		dgate[j], dup[j] = 2*g*up[j]*da[j], g*g*da[j]
	}
}

func (s *Scalar[F]) squaredReLUBackward(a *op.SquaredReLUBackward[*Tensor[F]]) {
	n, H := rowsOf(a.DA)
	for i := range n {
		g, u, to := 2*i*H, (2*i+1)*H, (2*i+2)*H
		squaredReLUBackwardRow(a.DGateUp.Data[g:u], a.DGateUp.Data[u:to], a.DA.Data[i*H:(i+1)*H], a.GateUp.Data[g:u], a.GateUp.Data[u:to])
	}
}
