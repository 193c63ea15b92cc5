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
