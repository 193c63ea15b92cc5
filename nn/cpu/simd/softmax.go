package simd

import (
	"fmt"
	"math"
)

// Softmax sets dst = exp(x − max x) / Σ exp(x − max x). dst may be x.
func Softmax(dst, x []float32) {
	checkSame("Softmax", len(dst), len(x))
	if len(x) == 0 {
		return
	}
	k := active.Load()
	sum := k.expSum(dst, x, k.maximum(x))
	k.scale(float32(1/sum), dst)
}

// ExpFrom sets dst = exp((x − shift)/divisor) where x ≥ limit, else 0, and returns the
// sum. dst may be x.
func ExpFrom(dst, x []float32, limit, shift, divisor float32) float64 {
	checkSame("ExpFrom", len(dst), len(x))
	return active.Load().expFrom(dst, x, limit, shift, divisor)
}

// SoftmaxCrossEntropy returns the loss of one row of logits, logsumexp − logits[target]
// in nats, and sets dlogits = (softmax − onehot(target))·scale. dlogits may be
// logits; if it is nil, only the loss is computed.
func SoftmaxCrossEntropy(dlogits, logits []float32, target int, scale float32) (loss float64) {
	if target < 0 || target >= len(logits) {
		panic(fmt.Sprintf("simd: SoftmaxCrossEntropy: target %d of %d logits", target, len(logits)))
	}
	k := active.Load()
	largest := k.maximum(logits)
	wanted := float64(logits[target])
	if dlogits == nil {
		return math.Log(k.expSum(nil, logits, largest)) + float64(largest) - wanted
	}
	checkSame("SoftmaxCrossEntropy", len(dlogits), len(logits))
	sum := k.expSum(dlogits, logits, largest)
	k.scale(float32(float64(scale)/sum), dlogits)
	dlogits[target] -= scale
	return math.Log(sum) + float64(largest) - wanted
}
