package op

import "math"

// CrossEntropy adds Scale·Σ −log softmax(Logits)[target] to Loss (1) over the m rows of Logits (m, V), whose targets
// begin at element From of Targets (n); Logits become their gradient. A row whose target is NoTarget counts nothing, and its
// gradient is 0.
type CrossEntropy[T any] struct {
	Loss, Logits, Targets T
	From                  int
	Scale                 float32
}

// NoTarget stands for the target of a row that is read and not to be predicted.
const NoTarget uint32 = math.MaxUint32

// Name implements Op.
func (o *CrossEntropy[T]) Name() string { return "CrossEntropy" }

// Args implements Op.
func (o *CrossEntropy[T]) Args(v Visitor[T]) {
	m, V := rows(v, o.Logits)
	v.Arg("logits", Updates, &o.Logits, m, V)
	v.Arg("targets", Reads, &o.Targets, max(axis(v, o.Targets, 0), o.From+m))
	v.Arg("loss", Updates, &o.Loss, 1)
}
