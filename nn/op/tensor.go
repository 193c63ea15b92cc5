package op

import (
	"fmt"
	"math"
	"slices"

	"bitgpu/nn/quants"
	"bitgpu/nn/ternary"

	"github.com/x448/float16"
)

// Format is how a tensor's numbers are stored.
type Format int

const (
	F32     Format = iota // float32
	F16                   // IEEE half precision
	I8                    // int8 with one float32 scale a row
	Ternary               // two bits a weight (package ternary), with one γ per block of rows
	U32                   // token ids
	BF16                  // bfloat16: the upper half of a float32
	Q8_0                  // whole numbers whose neighbours share scales, as in package quants
	Q4_0
	Q4_K
	Q6_K
)

// FormatOf returns the format of a matrix of package quants.
func FormatOf(k quants.Kind) Format { return Q8_0 + Format(k) }

// Quants returns the kind of package quants, if the format is one of those.
func (f Format) Quants() (k quants.Kind, ok bool) { return quants.Kind(f - Q8_0), f >= Q8_0 }

// String returns the name that files use for the format.
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
	// Absmean: products with the ternary tensor are multiplied by γ.
	Absmean bool
	// Group, where it is not 0, is how many inputs of a row share a scale. Such a ternary matrix has no γ; the scales' float16
	// bits are in GroupScales (rows, cols/Group).
	Group       int
	GroupScales []uint16
	Quants      *quants.Matrix // Q8_0, Q4_0, Q4_K, Q6_K
	// Spare: Codes are not part of a file and are not used after loading, so a backend may rearrange them in place.
	Spare bool
	// Int8: the tensor will be used by Linear with Int8, so that a backend can choose the layout for that.
	Int8 bool
}

// Count returns the number of elements of a shape.
func Count(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Bytes returns the memory that the tensor's numbers take.
func (t HostTensor) Bytes() int {
	return 4*len(t.F32) + 2*len(t.F16) + len(t.I8) + len(t.Codes) + 4*len(t.Scales) + 2*len(t.GroupScales) + t.Quants.Bytes()
}

// Floats writes row r of a tensor to dst. The formats Ternary and U32 are not supported.
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

// Float32s returns all numbers of a tensor in any format of floats; ternary weights are multiplied by their scales. The result
// shares the memory of an F32 tensor.
func (t HostTensor) Float32s() []float32 {
	if t.Format == F32 {
		return t.F32
	}
	all := make([]float32, Count(t.Shape))
	if t.Format == Ternary {
		rows, cols := t.Shape[0], t.Shape[1]
		ternary.Unpack(all, t.Codes, rows, cols)
		for i := range all {
			all[i] *= t.ScaleOf(i/cols, i%cols)
		}
		return all
	}
	for r := 0; len(all) > 0 && r < t.Shape[0]; r++ {
		n := len(all) / t.Shape[0]
		t.Floats(all[r*n:(r+1)*n], r)
	}
	return all
}

// ScaleOf returns what the code in a row and column of a ternary tensor is multiplied by.
func (t HostTensor) ScaleOf(row, col int) float32 {
	rows, cols := t.Shape[0], t.Shape[1]
	switch {
	case t.Group > 0:
		return float16.Frombits(t.GroupScales[(row*cols+col)/t.Group]).Float32()
	case t.Absmean:
		return t.Scales[row*len(t.Scales)/rows]
	}
	return 1
}

// Check panics unless got is want. It is for mistakes in our own code, never for those in a file.
func Check(what string, got []int, want ...int) {
	if !slices.Equal(got, want) {
		// The copies keep the caller's shapes off the heap where all is well.
		panic(fmt.Sprintf("%s: got shape %v, want %v", what, slices.Clone(got), slices.Clone(want)))
	}
}
