package cpu

import (
	"math"

	"bitgpu/nn/op"
)

// hadamardRow writes one row of a Hadamard.
func hadamardRow[F Float](y, x, signs []F, block int, inverse bool) {
	if inverse {
		copy(y, x)
	} else {
		for i := range x {
			y[i] = signs[i] * x[i]
		}
	}
	scale := F(1 / math.Sqrt(float64(block)))
	for b := 0; b < len(y); b += block {
		part := y[b : b+block]
		for half := 1; half < block; half *= 2 {
			for i := 0; i < block; i += 2 * half {
				for j := i; j < i+half; j++ {
					part[j], part[j+half] = part[j]+part[j+half], part[j]-part[j+half]
				}
			}
		}
		for i := range part {
			part[i] *= scale
		}
	}
	if inverse {
		for i := range y {
			y[i] *= signs[i]
		}
	}
}

func (s *Scalar[F]) hadamard(a *op.Hadamard[*Tensor[F]]) {
	n, D := rowsOf(a.X)
	for i := range n {
		hadamardRow(a.Y.Data[i*D:(i+1)*D], a.X.Data[i*D:(i+1)*D], a.Signs.Data, a.Block, a.Inverse)
	}
}
