package op

import "math"

// CrossEntropy adds Scale·Σ −log softmax(Logits)[target] over the m rows of Logits (m, V) to Loss (1), and replaces the
// logits by their gradient. The targets begin at element From of Targets (n). A row whose target is NoTarget is skipped; its
// gradient is 0.
type CrossEntropy[T any] struct {
	Loss, Logits, Targets T
	From                  int
	Scale                 float32
}

// NoTarget marks a row that is read but has nothing to predict.
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
