package train

import (
	"math"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// mostRows is how many rows an estimate counts: more fit nowhere, and their number might not fit an int.
const mostRows = 1 << 40

// Memory is how many bytes of device memory a Learner takes.
func Memory(c nn.Config, s Shape) int64 {
	if float64(s.Batch)*float64(s.Time)*float64(s.Accumulate) > mostRows {
		return math.MaxInt64
	}
	m := new(op.Meter)
	newLearner(op.Memory[struct{}](m), c, s, nil)
	return bytesOf(m.Bytes)
}

// EvaluationMemory is how many bytes of device memory an Evaluator takes beside the model.
func EvaluationMemory(c nn.Config, batch, time int) int64 {
	if float64(batch)*float64(time) > mostRows {
		return math.MaxInt64
	}
	m := new(op.Meter)
	newEvaluator(op.Memory[struct{}](m), c, batch, time)
	return bytesOf(m.Bytes)
}

// bytesOf is a number of bytes, the largest where an int64 does not hold it.
func bytesOf(n float64) int64 {
	if n >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}
