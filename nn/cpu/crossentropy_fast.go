package cpu

import "bitgpu/nn/cpu/simd"

func (o *Ops) CrossEntropy(loss, logits, targets *Tensor[float32], from int, scale float32) {
	checkCrossEntropy(loss, logits, targets, from)
	m, _ := rowsOf(logits)
	room(&o.partial, m)
	o.job.from, o.job.scale = from, scale
	o.rows(m, 4, func(j *job, start, end int) {
		logits, targets := j.t[0], j.t[1]
		V := logits.Shape[1]
		for i := start; i < end; i++ {
			row := logits.Data[i*V : (i+1)*V]
			target := int(targets.Tokens[j.from+i])
			j.ops.partial[i] = float32(simd.SoftmaxCrossEntropy(row, row, target, j.scale))
		}
	}, logits, targets)
	sum := 0.0
	for _, l := range o.partial[:m] {
		sum += float64(l)
	}
	loss.Data[0] += scale * float32(sum)
}
