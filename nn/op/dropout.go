package op

// Dropout sets each number of X to 0 with probability Rate and divides the others by 1 − Rate. Number i goes where
// Uniform(Site·2³² + seed, i) < Rate, with seed the one number of the U32 tensor Seed, so that the same operation is its
// own backward on the gradient. Rate is below 1.
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
