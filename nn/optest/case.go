package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

// Case is one thing that an operation must do.
type Case[T any] struct {
	Op        string // the operation's file
	Name      string // also the seed of the case's numbers
	Tolerance Tolerance
	Refuses   bool       // Forward must panic, and its message show the shape found and the shape wanted
	Large     bool       // only for Benchmark
	Needs     []op.Op[T] // a backend without one of these is not held to the case
	Make      func(b *Bench[T]) Trial[T]
}

// Trial is what a case does with the tensors that it has made. Tensors have names, and dx is the
// gradient of x.
type Trial[T any] struct {
	Forward  func() // with a Backward, run again it does the same
	Outputs  []string
	Backward func()   // comes after Forward; nil where there is no gradient or Forward makes it
	Upstream []string // outputs whose gradient is given
	Writes   []string // tensors whose gradient is written
	Adds     []string // tensors whose gradient is added to what is there
	AddsLog  []string // tensors of whose logarithm the gradient is added to what is there
	Also     []string // further tensors that Backward writes
	// Want are known values of outputs.
	Want map[string][]float32
	// Check is an invariant, or a definition, that the tensors must satisfy in the end.
	Check func(v Values) error
	// Bytes is the memory that Forward must access, for Benchmark.
	Bytes int64
}

// Tolerance says how far a number may lie from the reference: Abs + Rel·|reference|.
type Tolerance struct {
	Abs, Rel float64
	Why      string
}

// The tolerances of the cases. Float32 rounds by 6e-8 of a number, and WGSL allows a few such errors
// for exp, division and square root.
var (
	exact   = Tolerance{0, 0, "copies and sums of small whole numbers are exact in any order"}
	rounded = Tolerance{1e-6, 3e-6, "a few roundings of each number"}
	summed  = Tolerance{3e-5, 1e-5, "sums of up to some hundred numbers around 1, in any order"}
	wider   = Tolerance{1e-4, 3e-5, "sums of up to two thousand numbers around 1, in any order"}
	scanned = Tolerance{5e-5, 5e-5, "a recurrence of up to some hundred steps, exact in float64 in every chunk form"}
)

// summing is the tolerance of sums of n numbers around 1.
func summing(n int) Tolerance {
	if n > 1000 {
		return wider
	}
	return summed
}

// miss returns how far got exceeds the tolerance around want; it is within it if miss is at most 0.
// Nothing is close to a number that is not finite.
func (t Tolerance) miss(got, want float32) float64 {
	m := math.Abs(float64(got)-float64(want)) - t.Abs - t.Rel*math.Abs(float64(want))
	if math.IsNaN(m) {
		return math.Inf(1)
	}
	return m
}

// compare says where got first exceeds the tolerance around want, and how often.
func (t Tolerance) compare(name string, got, want []float32) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s: got %d numbers, want %d", name, len(got), len(want))
	}
	outside, worst, at := 0, 0.0, 0
	for i := range got {
		if m := t.miss(got[i], want[i]); m > 0 {
			outside++
			if m > worst {
				worst, at = m, i
			}
		}
	}
	if outside == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d of %d numbers outside of %g + %g·|want| (%s); element %d: got %v, want %v",
		name, outside, len(got), t.Abs, t.Rel, t.Why, at, got[at], want[at])
}

// Values holds the numbers of the tensors of a trial after it has run, by name.
type Values func(name string) []float32

// Cases returns all cases.
func Cases[T any]() []Case[T] {
	var all []Case[T]
	for _, cases := range [][]Case[T]{
		embedCases[T](), rmsnormCases[T](), linearCases[T](), swigluCases[T](), tiedscanCases[T](), stepCases[T](),
		deltascanCases[T](), blocksCases[T](), dropoutCases[T](), headCases[T](), crossentropyCases[T](), adamwCases[T](), sampleCases[T](),
		ropeCases[T](), attentionCases[T](), gatedDeltaCases[T](), hadamardCases[T](), squaredReLUCases[T](), gatherCases[T](), columnsCases[T](), slotCases[T](), documentCases[T](),
	} {
		all = append(all, cases...)
	}
	return all
}
