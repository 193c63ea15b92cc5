package cpu

import "bitgpu/nn/cpu/simd"

// sumBlock is how many rows are summed together; the blocks' sums are added in order, so that the
// result does not depend on the number of cores.
const sumBlock = 64

func (o *Ops) normRows(x, h, gain *Tensor[float32], from, n int) {
	o.job.from = from
	o.rows(n, 16, func(j *job, start, end int) {
		x, h, gain := j.t[0], j.t[1], j.t[2]
		D := len(gain.Data)
		for i := j.from + start; i < j.from+end; i++ {
			simd.RMSNorm(x.Data[i*D:(i+1)*D], h.Data[i*D:(i+1)*D], gain.Data, normEps)
		}
	}, x, h, gain)
}

func (o *Ops) RMSNormBackward(dh, dgain, dx, h, gain *Tensor[float32]) {
	checkRMSNormBackward(dh, dgain, dx, h, gain)
	n, D := rowsOf(h)
	blocks := (n + sumBlock - 1) / sumBlock
	zeroRoom(&o.partial, blocks*D)
	o.rows(blocks, 1, func(j *job, start, end int) {
		dh, dx, h, gain := j.t[0], j.t[1], j.t[2], j.t[3]
		n, D := rowsOf(h)
		for b := start; b < end; b++ {
			sum := j.ops.partial[b*D : (b+1)*D]
			for i := b * sumBlock; i < min((b+1)*sumBlock, n); i++ {
				at, to := i*D, (i+1)*D
				simd.RMSNormBackward(dh.Data[at:to], sum, dx.Data[at:to], h.Data[at:to], gain.Data,
					inverseRMSFast(h.Data[at:to]))
			}
		}
	}, dh, dx, h, gain)
	o.addPartials(dgain.Data, blocks)
}

// addPartials adds the sums of the blocks to dst, in order.
func (o *Ops) addPartials(dst []float32, blocks int) {
	for b := range blocks {
		simd.Axpy(1, o.partial[b*len(dst):(b+1)*len(dst)], dst)
	}
}
