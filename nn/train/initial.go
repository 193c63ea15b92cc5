package train

import (
	"math/rand/v2"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// InitialWeights draws the initial weights of a training in float32, as each parameter declares. Every parameter has its own
// random stream.
func InitialWeights(c nn.Config, seed uint64) *nn.Weights[op.HostTensor] {
	w := new(nn.Weights[op.HostTensor])
	stream := uint64(0)
	nn.Walk(c, w, func(p nn.Param, t *op.HostTensor) {
		stream++
		*t = op.HostTensor{Format: op.F32, Shape: p.Shape, F32: make([]float32, op.Count(p.Shape))}
		p.Init(t.F32, rand.New(rand.NewPCG(seed, stream)).NormFloat64)
	})
	return w
}

// FloatWeights converts weights from a file to float32, whatever the type of the tables.
func FloatWeights(c nn.Config, w *nn.Weights[op.HostTensor]) *nn.Weights[op.HostTensor] {
	return nn.MapWeights(c, w, func(p nn.Param, h op.HostTensor) op.HostTensor {
		if h.Format == op.Ternary {
			panic("train: " + p.Names[0] + ": ternary weights have no masters")
		}
		return op.HostTensor{Format: op.F32, Shape: h.Shape, F32: h.Float32s()}
	})
}
