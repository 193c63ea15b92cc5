package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// elements is how many numbers of a long vector a core takes at once.
const elements = 1 << 14

func (o *Ops) sumSquares(args *op.SumSquares[*Tensor[float32]]) {
	sum, g := args.Sum, args.G
	n := len(g.Data)
	blocks := (n + elements - 1) / elements
	room(&o.partial, blocks)
	o.rows(blocks, 1, func(j *job, start, end int) {
		g := j.t[0].Data
		for b := start; b < end; b++ {
			j.ops.partial[b] = simd.SumSquares(g[b*elements : min((b+1)*elements, len(g))])
		}
	}, g)
	total := 0.0
	for _, s := range o.partial[:blocks] {
		total += float64(s)
	}
	sum.Data[0] += float32(total)
}

func (o *Ops) adamW(args *op.AdamW[*Tensor[float32]]) {
	if args.Log { // a few numbers
		adamW(args)
		return
	}
	w, m, v, g, sumSquares, hyper := args.W, args.M, args.V, args.G, args.SumSquares, args.Hyper
	o.job.scale = clipFactor(sumSquares.Data[0], hyper.Data[op.HyperClip])
	blocks := (len(w.Data) + elements - 1) / elements
	o.rows(blocks, 1, func(j *job, start, end int) {
		p := j.t[4].Data
		at, to := start*elements, min(end*elements, len(j.t[0].Data))
		simd.AdamW(j.t[0].Data[at:to], j.t[3].Data[at:to], j.t[1].Data[at:to], j.t[2].Data[at:to],
			p[op.HyperLR], p[op.HyperBeta1], p[op.HyperBeta2], p[op.HyperEps], p[op.HyperDecay],
			p[op.HyperCorrect1], p[op.HyperCorrect2], j.scale)
	}, w, m, v, g, hyper)
}
