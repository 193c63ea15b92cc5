package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

func (o *Ops) crossEntropy(args *op.CrossEntropy[*Tensor[float32]]) {
	loss, logits, targets, from, scale := args.Loss, args.Logits, args.Targets, args.From, args.Scale
	m, _ := rowsOf(logits)
	room(&o.partial, m)
	o.job.from, o.job.scale = from, scale
	o.rows(m, 4, func(j *job, start, end int) {
		logits, targets := j.t[0], j.t[1]
		V := logits.Shape[1]
		for i := start; i < end; i++ {
			row := logits.Data[i*V : (i+1)*V]
			target := targets.Tokens[j.from+i]
			if target == op.NoTarget {
				clear(row)
				j.ops.partial[i] = 0
				continue
			}
			j.ops.partial[i] = float32(simd.SoftmaxCrossEntropy(row, row, int(target), j.scale))
		}
	}, logits, targets)
	sum := 0.0
	for _, l := range o.partial[:m] {
		sum += float64(l)
	}
	loss.Data[0] += scale * float32(sum)
}
