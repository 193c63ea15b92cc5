package train

import (
	"math"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// mostRows limits the rows in an estimate: more fit nowhere, and their number might not fit into an int.
const mostRows = 1 << 40

// DeviceBytes returns the device memory of a Learner on one of its ranks.
func DeviceBytes(c nn.Config, s Shape) int64 {
	if float64(s.Batch)*float64(s.Time)*float64(s.Accumulate) > mostRows {
		return math.MaxInt64
	}
	m := new(op.Meter)
	trained := newLearner(op.Tensors[struct{}](m), c, s, nil).trained()
	if s.ShardOptimizer {
		each := (trained + float64(s.group().Size()) - 1) / float64(s.group().Size())
		m.Bytes += 4 * (2*each + 2*min(each, sliceNumbers)) // moments; and weights and gradient of a slice
	}
	return bytesOf(m.Bytes)
}

// SumsBytes returns the host memory that the sums over shards take on a rank. direct: gradients are themselves in host
// memory.
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

// CopyBytes returns the host memory of the copy that a checkpoint is written from, which [Learner.Download] makes: on rank 0 and, if
// the optimizer is sharded, on all.
func CopyBytes(c nn.Config, s Shape) int64 {
	return bytesOf(4 * newLearner(op.Tensors[struct{}](new(op.Meter)), c, s, nil).trained())
}

// trained returns how many numbers are trained.
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

// EvaluationBytes returns the device memory of an Evaluator, not counting the model.
func EvaluationBytes(c nn.Config, batch, time int) int64 {
	if float64(batch)*float64(time) > mostRows {
		return math.MaxInt64
	}
	m := new(op.Meter)
	newEvaluator(op.Tensors[struct{}](m), c, batch, time)
	return bytesOf(m.Bytes)
}

// bytesOf converts a number of bytes, limited to the largest int64.
func bytesOf(n float64) int64 {
	if n >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}
