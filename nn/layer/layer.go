// Package layer holds the parts that models are made of: mixers with a memory (tied, delta) and MLPs, each written once
// over a backend's tensor T. A layer declares its parameters, the rows that it computes in and the state that it keeps, and
// appends its forward and its backward to a program. It makes no tensors, opens no files and runs nothing: the caller of
// Declare decides what a declaration means (allocate, load, save, count, share), and a backend runs the program.
//
// Shapes are those of package nn: n = B·T rows, D width, d width of the memory, h its heads, c = d/h, H width of the MLP.
//
// Why do layers hold their tensors? A layer is a value with a hole for every tensor. The same type, filled with gradients,
// is the gradient of a layer; filled with shapes, it is its description.
package layer

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

// Layer is one residual step of a model: out = in + f(RMSNorm(in)).
type Layer[T any] interface {
	// Declare shows every tensor of the layer, parameters first, in the order of the data flow.
	Declare(d Declarer[T])
	// Forward appends Out = In + f(In), which moves the state on. Out may be In.
	Forward(p *op.Program[T], s Stream[T])
	// Backward appends the backward of Forward: s.DH is the gradient of Out before and of In after. Gradients of parameters
	// are added into those of grad, a layer of the same type; its rows are room for the gradients of rows.
	Backward(p *op.Program[T], grad Layer[T], s Stream[T])
}

// Stream is what a layer meets of the residual stream.
type Stream[T any] struct {
	In, Out T // (n, D)
	DH      T // (n, D) backward only
	Dropout Dropout[T]
}

// Dropout says what is dropped of a layer's activations. The zero value drops nothing.
type Dropout[T any] struct {
	Seed T       // U32 (1), another one each step
	Site uint32  // the layer's own
	Rate float32 // which share, 0 = none
}

// Append drops from x, which is an activation or the gradient of one.
func (d Dropout[T]) Append(p *op.Program[T], x T) {
	if d.Rate > 0 {
		p.Add(&op.Dropout[T]{X: x, Seed: d.Seed, Site: d.Site, Rate: d.Rate})
	}
}

// Kind is what a parameter is for, which decides how it may be stored.
type Kind int

const (
	Gain   Kind = iota // float32: norms, convolutions, the step size
	Linear             // BitLinear: float32 when trained, ternary when run
	Table              // embedding and head: of any format of floats, ternary, or whole numbers with scales
)

// Param describes one parameter.
type Param struct {
	// Names are the tensors of a file that make up the parameter, stacked along the first axis.
	Names []string
	// Shape is that of the whole. Each of the k names has the shape (Shape[0]/k, Shape[1:]…), but
	// the convolutions, (3, d, 4) in memory, are (d, 4) each.
	Shape []int
	Kind  Kind
	Layer int // the block that it belongs to, -1 for those outside of blocks
	// Fixed says that no backward gives it a gradient: a training leaves it as it is.
	Fixed bool
	// Init fills the values that a training begins with; normal draws from N(0, 1).
	Init func(values []float32, normal func() float64)
}

// PartShape is the shape in a file of each of the parameter's names.
func (p Param) PartShape() []int {
	if len(p.Names) > 1 && len(p.Shape) == 3 {
		return p.Shape[1:]
	}
	s := append([]int(nil), p.Shape...)
	s[0] /= len(p.Names)
	return s
}

// Rows describes activations: what a layer writes in Forward.
type Rows struct {
	Name  string // with the shape it names the tensor: layers may share those of one Key where nothing is kept
	Shape []int  // of one row, or of one chunk
	// Chunks says that there is one a chunk of a sequence, (B, ceil(T/C), Shape…), and not one a token, (n, Shape…). Such
	// rows are wanted for Backward only and may be the zero T.
	Chunks bool
	// Kept says that such rows are wanted for Backward only, as those of chunks are, and may be the zero T.
	Kept bool
	// Gradient says that Backward needs room for the gradient.
	Gradient bool
}

// Trained says that the rows are wanted for Backward only.
func (r Rows) Trained() bool { return r.Chunks || r.Kept }

// Key names a tensor that layers may share.
func (r Rows) Key() string { return fmt.Sprint(r.Name, r.Shape) }

// State describes what a layer remembers of each sequence.
type State struct {
	Name  string // what a memory file appends to the layer's name
	Shape []int  // of one sequence, or of one of its tokens
	// Grows says that there is a row a token: (B, L, Shape…), where L is how many tokens there is room for. What lies behind
	// the position means nothing.
	Grows bool
	// Half says that it is kept in float16.
	Half bool
}

// Declarer is shown the tensors of a layer, and may fill them.
type Declarer[T any] interface {
	Param(t *T, p Param)
	Rows(t *T, r Rows)
	State(t *T, s State)
	// Adapter is asked for behind the parameter that it belongs to. The blocks are the rows of the parameter's names, in their
	// order; names of one group are one matrix in files, and share its rows of A.
	Adapter(a *Adapter[T], of Param, blocks ...op.LowRankBlock)
	// Shared is a tensor that all sequences and layers of a pass use.
	Shared(t *T, which Shared)
}

// Shared names a tensor that all sequences and layers of a pass use.
type Shared int

// The shared tensors: Position (S) is how many tokens each sequence has read, Angles (L, R) are those of op.RoPE, Slots (B)
// are the slots of the sequences of a pass, or none where it takes all (package op), and Documents (n, 2) those of rows that hold
// several, or none.
const (
	Position Shared = iota
	Angles
	Slots
	Documents
)

// Memory is a layer that learns while it reads.
type Memory[T any] interface {
	// Memory is the state, (S, h, c, c) or of one head (S, d, d), and what it has learned from in the last pass: keys (n, d), or keys, queries and
	// values (n, 3d).
	Memory() (state, seen T)
}

// Constant gives an Init of one number.
func Constant(x float32) func([]float32, func() float64) {
	return func(values []float32, _ func() float64) {
		for i := range values {
			values[i] = x
		}
	}
}

// Normal gives an Init of N(0, std²).
func Normal(std float64) func([]float32, func() float64) {
	return func(values []float32, normal func() float64) {
		for i := range values {
			values[i] = float32(std * normal())
		}
	}
}

// Kaiming gives an Init of N(0, 2/inputs) (arXiv 1502.01852).
func Kaiming(inputs int) func([]float32, func() float64) {
	return Normal(math.Sqrt(2 / float64(inputs)))
}
