package cpu

import (
	"math"

	"bitgpu/nn/op"
)

func (o *Ops) dropout(args *op.Dropout[*Tensor[float32]]) {
	x, seed, site, rate := args.X, args.Seed, args.Site, args.Rate
	o.job.from, o.job.scale = int(site), rate
	o.rows(len(x.Data), 4096, func(j *job, start, end int) {
		dropout(j.t[0].Data[start:end], uint32(start), j.t[1].Tokens[0], uint32(j.from), j.scale)
	}, x, seed)
}

// dropout drops elements of x, whose first is element number first of the tensor. It is op.Uniform with everything that does not
// depend on the element taken out of the loop, compared as an integer, and without a branch, which no processor could predict.
func dropout(x []float32, first, seed, site uint32, rate float32) {
	const factor, term = 1664525, 1013904223
	limit := uint32(math.Ceil(float64(rate) * (1 << 24)))
	y0, z0 := seed*factor+term, site*factor+term
	yz := y0 * z0
	for i, v := range x {
		a := (first+uint32(i))*factor + term + yz
		b := y0 + z0*a
		c := z0 + a*b
		a ^= a >> 16
		b ^= b >> 16
		c ^= c >> 16
		a += b * c
		kept := ^uint32(int32(a>>8-limit) >> 31)
		x[i] = math.Float32frombits(math.Float32bits(v/(1-rate)) & kept)
	}
}
