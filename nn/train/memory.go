package train

import (
	"math"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// mostRows is how many rows an estimate counts: more fit nowhere, and their number might not fit an int.
const mostRows = 1 << 40

// DeviceBytes is how many bytes of device memory a Learner takes, on one of its ranks.
func DeviceBytes(c nn.Config, s Shape) int64 {
	if float64(s.Batch)*float64(s.Time)*float64(s.Accumulate) > mostRows {
		return math.MaxInt64
	}
	m := new(op.Meter)
	trained := newLearner(op.Tensors[struct{}](m), c, s, nil).trained()
	if s.ShardOptimizer {
		each := (trained + float64(s.group().Size()) - 1) / float64(s.group().Size())
		m.Bytes += 4 * (2*each + 2*min(each, sliceNumbers)) // moments; weights and gradient of a slice
	}
	return bytesOf(m.Bytes)
}

// SumsBytes is how many bytes of the host's memory the sums of a step by shards take on a rank. direct says that gradients lie
// in the host's memory themselves.
func SumsBytes(c nn.Config, s Shape, direct bool) int64 {
	if s.Shards == 0 {
		return 0
	}
	trained := newLearner(op.Tensors[struct{}](new(op.Meter)), c, s, nil).trained()
	sums := 0
	for n := 1; n < s.Shards/s.group().Size(); n *= 2 {
		sums++
	}
	if !direct {
		sums++
	}
	bytes := 4 * trained * float64(sums)
	if s.group().Size() > 1 {
		bytes += 12 * min(trained, chunkNumbers) // sent, received, decoded
	}
	return bytesOf(bytes)
}

// trained is how many numbers learn.
func (l *Learner[T]) trained() (n float64) {
	for _, p := range l.params {
		each := 1.0
		for _, x := range p.Shape {
			each *= float64(x)
		}
		n += each
	}
	return n
}

// EvaluationBytes is how many bytes of device memory an Evaluator takes beside the model.
func EvaluationBytes(c nn.Config, batch, time int) int64 {
	if float64(batch)*float64(time) > mostRows {
		return math.MaxInt64
	}
	m := new(op.Meter)
	newEvaluator(op.Tensors[struct{}](m), c, batch, time)
	return bytesOf(m.Bytes)
}

// bytesOf is a number of bytes, the largest where an int64 does not hold it.
func bytesOf(n float64) int64 {
	if n >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}
