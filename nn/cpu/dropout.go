package cpu

import "bitgpu/nn"

func (s *Scalar[F]) Dropout(x, seed *Tensor[F], site uint32, rate float32) {
	seed.is("Dropout: seed", 1)
	dropout(x.Data, seed.Tokens[0], site, rate, 0, len(x.Data))
}

func (o *Ops) Dropout(x, seed *Tensor[float32], site uint32, rate float32) {
	seed.is("Dropout: seed", 1)
	o.job.from, o.job.scale = int(site), rate
	o.rows(len(x.Data), 4096, func(j *job, start, end int) {
		dropout(j.t[0].Data, j.t[1].Tokens[0], uint32(j.from), j.scale, start, end)
	}, x, seed)
}

// dropout does numbers start to end of x.
func dropout[F Float](x []F, seed, site uint32, rate float32, start, end int) {
	stream := uint64(site)<<32 | uint64(seed)
	for i := start; i < end; i++ {
		if nn.Uniform(stream, uint32(i)) < rate {
			x[i] = 0
		} else {
			x[i] /= F(1 - rate)
		}
	}
}
