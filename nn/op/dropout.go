package op

// Dropout sets each number of X to 0 with probability Rate, which is below 1, and divides the others by 1 − Rate. Number i is
// dropped if Uniform(Site·2³² + seed, i) < Rate, where seed is the one number of the U32 tensor Seed. The same operation on
// the gradient is therefore its own backward.
type Dropout[T any] struct {
	X, Seed T
	Site    uint32
	Rate    float32
}

// Name implements Op.
func (o *Dropout[T]) Name() string { return "Dropout" }

// Args implements Op.
func (o *Dropout[T]) Args(v Visitor[T]) {
	v.Arg("seed", Reads, &o.Seed, 1)
	v.Arg("x", Updates, &o.X, v.Shape(o.X)...)
}
