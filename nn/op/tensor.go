package op

import (
	"fmt"
	"math"
	"slices"

	"bitgpu/nn/quants"

	"github.com/x448/float16"
)

// Format is how a tensor's numbers are stored.
type Format int

const (
	F32     Format = iota // float32
	F16                   // IEEE half precision
	I8                    // int8 with one float32 scale a row
	Ternary               // two bits a weight (package ternary), with one γ a block of rows
	U32                   // token ids
	BF16                  // bfloat16: the upper half of a float32
	Q8_0                  // whole numbers with scales for a few neighbours each, as package quants has them
	Q4_0
	Q4_K
	Q6_K
)

// FormatOf is that of a matrix of package quants.
func FormatOf(k quants.Kind) Format { return Q8_0 + Format(k) }

// Quants is the kind of package quants, if the format is one of those.
func (f Format) Quants() (k quants.Kind, ok bool) { return quants.Kind(f - Q8_0), f >= Q8_0 }

// String is the format's name as files have it.
func (f Format) String() string {
	return [...]string{"F32", "F16", "I8", "ternary", "U32", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"}[f]
}

// HostTensor is a tensor in host memory, in whatever format a file holds it.
type HostTensor struct {
	Format Format
	Shape  []int
	F32    []float32 // F32
	F16    []uint16  // F16 and BF16: the bits
	I8     []int8    // I8
	Codes  []byte    // Ternary: (rows, ceil(cols/4))
	Scales []float32 // I8: (rows). Ternary: γ, (blocks); each block has rows/blocks rows
	// Absmean says that a ternary product is multiplied by γ.
	Absmean bool
	// Group, where it is not 0, says that a ternary matrix has no γ but a scale each Group inputs of a row, whose float16 bits
	// are GroupScales (rows, cols/Group).
	Group       int
	GroupScales []uint16
	Quants      *quants.Matrix // Q8_0, Q4_0, Q4_K, Q6_K
	// Spare says that Codes are memory of their own, not a file's, which nobody reads once the tensor was loaded: a backend
	// may lay them out anew where they are.
	Spare bool
	// Int8 says that products with the tensor will be those of Linear with Int8, so that a backend may choose a layout.
	Int8 bool
}

// Count is the number of elements of a shape.
func Count(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Bytes is the memory that the tensor's numbers take.
func (t HostTensor) Bytes() int {
	return 4*len(t.F32) + 2*len(t.F16) + len(t.I8) + len(t.Codes) + 4*len(t.Scales) + 2*len(t.GroupScales) + t.Quants.Bytes()
}

// Floats writes row r of a tensor of any format but Ternary and U32 into dst.
func (t HostTensor) Floats(dst []float32, r int) {
	n := Count(t.Shape) / t.Shape[0]
	from, to := r*n, (r+1)*n
	switch t.Format {
	case F32:
		copy(dst, t.F32[from:to])
	case F16:
		for i, x := range t.F16[from:to] {
			dst[i] = float16.Frombits(x).Float32()
		}
	case BF16:
		for i, x := range t.F16[from:to] {
			dst[i] = math.Float32frombits(uint32(x) << 16)
		}
	case I8:
		for i, x := range t.I8[from:to] {
			dst[i] = float32(x) * t.Scales[r]
		}
	case Q8_0, Q4_0, Q4_K, Q6_K:
		t.Quants.Floats(dst, r)
	default:
		panic(fmt.Sprintf("op: floats of a %v tensor", t.Format))
	}
}

// Float32s are all numbers of a tensor of the formats that Floats reads. Those of an F32 tensor share its memory.
func (t HostTensor) Float32s() []float32 {
	if t.Format == F32 {
		return t.F32
	}
	all := make([]float32, Count(t.Shape))
	for r := 0; len(all) > 0 && r < t.Shape[0]; r++ {
		n := len(all) / t.Shape[0]
		t.Floats(all[r*n:(r+1)*n], r)
	}
	return all
}

// Check panics unless a shape is as wanted: a mistake in our own code, never in a file.
func Check(what string, got []int, want ...int) {
	if !slices.Equal(got, want) {
		// The copies keep the caller's shapes off the heap where all is well.
		panic(fmt.Sprintf("%s: got shape %v, want %v", what, slices.Clone(got), slices.Clone(want)))
	}
}
