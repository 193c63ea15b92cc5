package op

// CrossEntropy adds Scale·Σ −log softmax(Logits)[target] to Loss (1) over the m rows of Logits (m, V), whose targets
// begin at element From of Targets (n); Logits become their gradient.
type CrossEntropy[T any] struct {
	Loss, Logits, Targets T
	From                  int
	Scale                 float32
}

// Name implements Op.
func (o *CrossEntropy[T]) Name() string { return "CrossEntropy" }

// Args implements Op.
func (o *CrossEntropy[T]) Args(v Visitor[T]) {
	m, V := rows(v, o.Logits)
	v.Arg("logits", Updates, &o.Logits, m, V)
	v.Arg("targets", Reads, &o.Targets, max(axis(v, o.Targets, 0), o.From+m))
	v.Arg("loss", Updates, &o.Loss, 1)
}
