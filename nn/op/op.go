package op

import "fmt"

// Op is an operation as a value: a pointer to a struct whose fields are its tensors and numbers. A field that Args calls
// optional may be left at the zero T.
type Op[T any] interface {
	// Name is the operation's name, for errors and for the list of what a backend has.
	Name() string
	// Args shows every tensor to the visitor, with the access that the operation makes and the shape that it requires. It is the
	// only place that states shapes.
	Args(v Visitor[T])
}

// Access is what an operation does with a tensor.
type Access int

// The kinds of access: Writes fills the whole tensor (or the rows that the operation names) without reading it first, Updates
// reads it before. Optional may be added to each.
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
	// Shape returns the shape of a tensor, nil for the zero T.
	Shape(t T) []int
	// Arg is called once per tensor. shape is the required shape: the length of the first axis and the number of elements per
	// row must match.
	Arg(name string, access Access, t *T, shape ...int)
}

// Program is a list of operations, run in order.
type Program[T any] []Op[T]

// Add appends operations.
func (p *Program[T]) Add(ops ...Op[T]) { *p = append(*p, ops...) }

// rows returns the length of a tensor's first axis and the number of elements of one row.
func rows[T any](v Visitor[T], t T) (n, each int) {
	s := v.Shape(t)
	if len(s) == 0 {
		return 0, 0
	}
	return s[0], Count(s[1:])
}

// axis returns the length of one axis of a tensor, 0 where it has no such axis.
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

// CheckShapes panics with both shapes where a tensor does not fit its operation, which is always a mistake in our own code,
// never in a file. shape returns a tensor's shape, nil for none.
func CheckShapes[T any](p Program[T], shape func(T) []int) {
	for _, o := range p {
		o.Args(&checker[T]{shape, o.Name()})
	}
}
