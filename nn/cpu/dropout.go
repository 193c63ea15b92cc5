package cpu

import (
	"bitgpu/nn/op"
)

func (s *Scalar[F]) dropout(args *op.Dropout[*Tensor[F]]) {
	x, seed, site, rate := args.X, args.Seed, args.Site, args.Rate
	stream := uint64(site)<<32 | uint64(seed.Tokens[0])
	for i := range x.Data {
		if op.Uniform(stream, uint32(i)) < rate {
			x.Data[i] = 0
		} else {
			x.Data[i] /= F(1 - rate)
		}
	}
}
