package cpu

import "bitgpu/nn"

// Blocks has nothing to fuse: on a CPU a call costs nothing.
func (s *Scalar[F]) Blocks(h *Tensor[F], layers []nn.Layer[*Tensor[F]], states []nn.LayerState[*Tensor[F]], a *nn.Activations[*Tensor[F]], c nn.Config) {
	nn.Check("Blocks: stream", h.Shape, h.Shape[0], c.Width)
	nn.BlockByBlock(s, h, layers, states, a, c)
}

func (o *Ops) Blocks(h *Tensor[float32], layers []nn.Layer[*Tensor[float32]], states []nn.LayerState[*Tensor[float32]], a *nn.Activations[*Tensor[float32]], c nn.Config) {
	nn.Check("Blocks: stream", h.Shape, h.Shape[0], c.Width)
	nn.BlockByBlock(o, h, layers, states, a, c)
}
