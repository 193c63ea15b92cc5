package op

import "fmt"

// Op is an operation as a value: a pointer to a struct whose fields are its tensors and its numbers. The zero T in a
// field that Args calls optional means that it is not wanted.
type Op[T any] interface {
	// Name is the operation's name, for errors and for lists of what a backend has.
	Name() string
	// Args shows every tensor to the visitor, with what the operation does to it and the shape that it must have. It is
	// the one place that states shapes.
	Args(v Visitor[T])
}

// Access is what an operation does with a tensor.
type Access int

// Reads, Writes and Updates are the kinds of access: Writes fills the whole tensor (or the rows that the operation
// names) whatever was there before, Updates reads it first. Optional may be added to each.
const (
	Reads Access = iota
	Writes
	Updates

	Optional Access = 1 << 8
)

// Kind is the access without Optional.
func (a Access) Kind() Access { return a &^ Optional }

// Visitor is shown the tensors of an operation.
type Visitor[T any] interface {
	// Shape is the shape of a tensor, nil of the zero T.
	Shape(t T) []int
	// Arg is called once a tensor. shape is what it must have: as many rows along the first axis, and as many elements in
	// each.
	Arg(name string, access Access, t *T, shape ...int)
}

// Program is a list of operations, run in order.
type Program[T any] []Op[T]

// Add appends operations.
func (p *Program[T]) Add(ops ...Op[T]) { *p = append(*p, ops...) }

// rows is the length of a tensor's first axis and the number of elements of one row.
func rows[T any](v Visitor[T], t T) (n, each int) {
	s := v.Shape(t)
	if len(s) == 0 {
		return 0, 0
	}
	return s[0], Count(s[1:])
}

// axis is the length of one axis of a tensor, 0 where it has no such axis.
func axis[T any](v Visitor[T], t T, i int) int {
	if s := v.Shape(t); i < len(s) {
		return s[i]
	}
	return 0
}

// checker is the Visitor of CheckShapes.
type checker[T any] struct {
	shape func(T) []int
	op    string
}

func (c *checker[T]) Shape(t T) []int { return c.shape(t) }

func (c *checker[T]) Arg(name string, access Access, t *T, want ...int) {
	got := c.shape(*t)
	switch {
	case got == nil && access&Optional != 0:
	case got == nil:
		panic(fmt.Sprintf("op: %s: %s is missing, want shape %v", c.op, name, want))
	case len(want) == 0 || got[0] != want[0] || Count(got[1:]) != Count(want[1:]):
		panic(fmt.Sprintf("op: %s: %s: got shape %v, want %v", c.op, name, got, want))
	}
}

// CheckShapes panics, and prints both shapes, where a tensor does not fit its operation: a mistake in our own code, never
// in a file. shape gives a tensor's shape, nil of none.
func CheckShapes[T any](p Program[T], shape func(T) []int) {
	for _, o := range p {
		o.Args(&checker[T]{shape, o.Name()})
	}
}
