package cpu

import "bitgpu/nn"

func (s *Scalar[F]) Dropout(x, seed *Tensor[F], site uint32, rate float32) {
	seed.is("Dropout: seed", 1)
	stream := uint64(site)<<32 | uint64(seed.Tokens[0])
	for i := range x.Data {
		if nn.Uniform(stream, uint32(i)) < rate {
			x.Data[i] = 0
		} else {
			x.Data[i] /= F(1 - rate)
		}
	}
}
