// Package layer holds the parts of models: mixers with a memory (tied, delta, gated delta), attention and MLPs, each written
// once over a backend's tensor type T. A layer declares its parameters, the rows that it computes in and the state that it
// keeps, and appends its forward and backward to a program. It makes no tensors, opens no files and runs nothing: the caller
// of Declare decides what to do with a declaration (allocate, load, save, count, share), and a backend runs the program.
//
// Shapes are those of package nn: n = B·T rows, D width, d width of the memory, h its heads, c = d/h, H width of the MLP.
//
// Why do layers hold their tensors? Because a layer then serves three purposes: filled with weights it computes, filled with
// gradients it is its own gradient, and filled with shapes it is its own description.
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
	// Backward appends the backward of Forward. On entry s.DH is the gradient of Out, on return that of In. Gradients of
	// parameters are added to those of grad, a layer of the same type whose rows are used for the gradients of rows.
	Backward(p *op.Program[T], grad Layer[T], s Stream[T])
}

// Stream holds the tensors of the residual stream that a layer reads and writes.
type Stream[T any] struct {
	In, Out T // (n, D)
	DH      T // (n, D) backward only
	Dropout Dropout[T]
}

// Dropout says how a layer's activations are dropped. The zero value drops nothing.
type Dropout[T any] struct {
	Seed T       // U32 (1), a new one each step
	Site uint32  // the layer's own
	Rate float32 // the share that is dropped, 0: none
}

// Append drops elements of x, which is an activation or the gradient of one.
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
	// Shape is the shape of the whole. Each of the k names has the shape (Shape[0]/k, Shape[1:]…), except for convolutions,
	// which are (3, d, 4) in memory and (d, 4) each in files.
	Shape []int
	Kind  Kind
	Layer int // the parameter's block, -1 outside of blocks
	// Fixed: no backward gives the parameter a gradient, so training leaves it as it is.
	Fixed bool
	// Log: its logarithm ln|w| is trained, of which backward gives the gradient, so that no step changes a sign.
	Log bool
	// Init fills in the values that training starts from; normal draws from N(0, 1).
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

// Rows describes activations that a layer writes in Forward.
type Rows struct {
	Name  string // names the tensor together with Shape: layers may share tensors of equal Key where rows are not kept
	Shape []int  // of one row, or of one chunk
	// Chunks: there is one entry per chunk of a sequence, (B, ceil(T/C), Shape…), instead of one per token, (n, Shape…). Only
	// Backward needs such rows; otherwise they may be the zero T.
	Chunks bool
	// Kept: only Backward needs these rows; otherwise they may be the zero T.
	Kept bool
	// Gradient: Backward needs room for the gradient.
	Gradient bool
}

// Trained reports whether only Backward needs the rows.
func (r Rows) Trained() bool { return r.Chunks || r.Kept }

// Key is equal for tensors that layers may share.
func (r Rows) Key() string { return fmt.Sprint(r.Name, r.Shape) }

// State describes what a layer remembers of each sequence.
type State struct {
	Name  string // what the memory file appends to the layer's name
	Shape []int  // of one sequence, or of one of its tokens
	// Grows: there is one row per token, (B, L, Shape…), where L is the number of tokens that there is room for. Rows past the
	// current position are undefined.
	Grows bool
	// Half: kept in float16.
	Half bool
}

// Declarer is shown the tensors of a layer, and may fill them in.
type Declarer[T any] interface {
	Param(t *T, p Param)
	Rows(t *T, r Rows)
	State(t *T, s State)
	// Adapter is called right after the parameter that it belongs to. The blocks are the rows of the parameter's names, in
	// order. Names in one group are one matrix in files, and share its rows of A.
	Adapter(a *Adapter[T], of Param, blocks ...op.LowRankBlock)
	// Shared is called for a tensor that all sequences and layers of a pass use.
	Shared(t *T, which Shared)
}

// Shared names a tensor that all sequences and layers of a pass use.
type Shared int

// The shared tensors: Position (S) is the number of tokens that each sequence has read, Angles (L, R) is the table of
// op.RoPE, Slots (B) lists the slots of the sequences in a pass (none: all slots, see package op), and Documents (n, 2) says
// where documents begin and end in rows that hold several (none: a row is one document).
const (
	Position Shared = iota
	Angles
	Slots
	Documents
)

// Memory is a layer that learns while it reads.
type Memory[T any] interface {
	// Memory returns the state, (S, h, c, c), or (S, d, d) with one head, and what the last pass learned from: keys (n, d), or
	// keys, queries and values (n, 3d).
	Memory() (state, seen T)
	Learning() Learning
}

// Learning describes how a memory learns.
type Learning struct {
	Loss       string // what each token lowers, in the symbols of package nn
	Tied       bool   // one vector is key, value and query, before it is normalised
	Normalised bool   // what the memory answers is normalised, which magnifies rounding where it is near zero
}

// Constant returns an Init that fills in one number.
func Constant(x float32) func([]float32, func() float64) {
	return func(values []float32, _ func() float64) {
		for i := range values {
			values[i] = x
		}
	}
}

// Normal returns an Init that draws from N(0, std²).
func Normal(std float64) func([]float32, func() float64) {
	return func(values []float32, normal func() float64) {
		for i := range values {
			values[i] = float32(std * normal())
		}
	}
}

// Kaiming returns an Init that draws from N(0, 2/inputs) (arXiv 1502.01852).
func Kaiming(inputs int) func([]float32, func() float64) {
	return Normal(math.Sqrt(2 / float64(inputs)))
}
