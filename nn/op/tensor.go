package op

import (
	"fmt"
	"slices"
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
)

// String is the format's name as files have it.
func (f Format) String() string {
	return [...]string{"F32", "F16", "I8", "ternary", "U32", "BF16"}[f]
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
	return 4*len(t.F32) + 2*len(t.F16) + len(t.I8) + len(t.Codes) + 4*len(t.Scales) + 2*len(t.GroupScales)
}

// Check panics unless a shape is as wanted: a mistake in our own code, never in a file.
func Check(what string, got []int, want ...int) {
	if !slices.Equal(got, want) {
		// The copies keep the caller's shapes off the heap where all is well.
		panic(fmt.Sprintf("%s: got shape %v, want %v", what, slices.Clone(got), slices.Clone(want)))
	}
}
