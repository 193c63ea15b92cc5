package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// sumBlock is how many rows are summed together. The sums of the blocks are added in order, so that the result does not depend
// on the number of cores.
const sumBlock = 64

func (o *Ops) rmsNorm(args *op.RMSNorm[*Tensor[float32]]) {
	from, n := args.Span(args.H.Shape[0])
	if args.Kept != nil {
		copy(args.Kept.Data, args.H.Data)
	}
	o.job.from, o.job.scale = from, float32(args.Epsilon())
	o.rows(n, 16, func(j *job, start, end int) {
		x, h, gain := j.t[0], j.t[1], j.t[2]
		D := len(gain.Data)
		for i := j.from + start; i < j.from+end; i++ {
			simd.RMSNorm(x.Data[i*D:(i+1)*D], h.Data[i*D:(i+1)*D], gain.Data, j.scale)
		}
	}, args.X, args.H, args.Gain)
}

func (o *Ops) rmsNormBackward(args *op.RMSNormBackward[*Tensor[float32]]) {
	dh, dgain, dx, h, gain := args.DH, args.DGain, args.DX, args.H, args.Gain
	n, D := rowsOf(h)
	blocks := (n + sumBlock - 1) / sumBlock
	zeroRoom(&o.partial, blocks*D)
	o.job.eps = args.Epsilon()
	o.rows(blocks, 1, func(j *job, start, end int) {
		dh, dx, h, gain := j.t[0], j.t[1], j.t[2], j.t[3]
		n, D := rowsOf(h)
		for b := start; b < end; b++ {
			sum := j.ops.partial[b*D : (b+1)*D]
			for i := b * sumBlock; i < min((b+1)*sumBlock, n); i++ {
				at, to := i*D, (i+1)*D
				simd.RMSNormBackward(dh.Data[at:to], sum, dx.Data[at:to], h.Data[at:to], gain.Data,
					inverseRMSFast(h.Data[at:to], j.eps))
			}
		}
	}, dh, dx, h, gain)
	if dgain != nil {
		o.addPartials(dgain.Data, blocks)
	}
}

// addPartials adds the sums of the blocks to dst, in order.
func (o *Ops) addPartials(dst []float32, blocks int) {
	for b := range blocks {
		simd.Axpy(1, o.partial[b*len(dst):(b+1)*len(dst)], dst)
	}
}
