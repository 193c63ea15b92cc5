// Package quants knows matrices of whole numbers of 4, 6 or 8 bits with scales for a few neighbours each, as GGUF files keep
// embeddings and heads: their layout in memory, and which weights they stand for. It knows no files, and multiplies nothing
// but a number by its scale.
//
// A weight is scale · (number − centre) − minimum. The numbers of a row lie by themselves, without the scales, in units of
// 32 neighbours:
//
//   - of 8 bits, a byte each, in two's complement;
//   - of 4 bits, 16 bytes a unit: byte j has number j in its lower half and number j+16 in its upper half;
//   - of 6 bits, the lower 4 bits of the whole row so, and then the upper 2 bits, 8 bytes a unit: byte j has those of numbers
//     j, j+8, j+16 and j+24, from its lowest bits on.
//
// The scales of a row are words. Of Q8_0 and Q4_0 they are pairs of float16, one each 32 weights, the first in a word's lower
// half. Of Q4_K and Q6_K each 256 weights have five: float16 d and dmin, and 16 bytes. Of Q6_K these are factors of d, in
// two's complement, for 16 weights each; of Q4_K 8 factors of d, then 8 of dmin, for 32 weights each.
//
// # Why
//
// Why not a file's blocks as they are? They hold 18, 34 or 210 bytes, which no shader can read at their places.
//
// Why not one float32 a group? A table of Q4_K would take a third more than its file, and a smaller head is a faster one.
package quants

import (
	"fmt"
	"math"
)

// Kind says how the numbers of a matrix are stored. The names are those of GGUF's types.
type Kind int

// The kinds.
const (
	Q8_0 Kind = iota // 8 bits, a scale for 32
	Q4_0             // 4 bits less 8, a scale for 32
	Q4_K             // 4 bits, a scale and a minimum for 32
	Q6_K             // 6 bits less 32, a scale for 16
	kinds
)

// String is the kind's name.
func (k Kind) String() string { return [...]string{"Q8_0", "Q4_0", "Q4_K", "Q6_K"}[k] }

const (
	unit       = 32  // neighbours whose numbers lie together
	span       = 256 // neighbours that share d and dmin
	spanWords  = 5   // of their scales
	FactorUnit = 16  // neighbours that have one scale and one minimum in what Factors gives
)

// Span is of how many weights a row must be a multiple.
func (k Kind) Span() int {
	if k == Q4_K || k == Q6_K {
		return span
	}
	return unit
}

// RowBytes is how many bytes the numbers of a row take.
func (k Kind) RowBytes(cols int) int { return cols * [...]int{8, 4, 4, 6}[k] / 8 }

// RowWords is how many words the scales of a row take.
func (k Kind) RowWords(cols int) int {
	if k.Span() == span {
		return cols / span * spanWords
	}
	return (cols/unit + 1) / 2
}

// Centre is what is subtracted from a number.
func (k Kind) Centre() int { return [...]int{0, 8, 0, 32}[k] }

// Matrix is (Rows, Cols) weights.
type Matrix struct {
	Kind       Kind
	Rows, Cols int
	Codes      []byte   // (Rows, Kind.RowBytes(Cols))
	Scales     []uint32 // (Rows, Kind.RowWords(Cols))
}

// New makes a matrix of zeros. Cols must be a multiple of the kind's Span.
func New(k Kind, rows, cols int) *Matrix {
	if cols%k.Span() != 0 {
		panic(fmt.Sprintf("quants: rows of %d weights of %v, want a multiple of %d", cols, k, k.Span()))
	}
	return &Matrix{k, rows, cols, make([]byte, rows*k.RowBytes(cols)), make([]uint32, rows*k.RowWords(cols))}
}

// Bytes is the memory that numbers and scales take, none of nil.
func (m *Matrix) Bytes() int {
	if m == nil {
		return 0
	}
	return len(m.Codes) + 4*len(m.Scales)
}

// Pick makes a matrix of rows in an order, which may leave some out; nil of nil.
func (m *Matrix) Pick(order []int) *Matrix {
	if m == nil {
		return nil
	}
	out := New(m.Kind, len(order), m.Cols)
	for i, r := range order {
		copy(out.codes(i), m.codes(r))
		copy(out.Words(i), m.Words(r))
	}
	return out
}

// Append puts the rows of another matrix of the same kind and width behind m's, which may be nil, as both may.
func (m *Matrix) Append(other *Matrix) *Matrix {
	if m == nil || other == nil {
		return other
	}
	return &Matrix{m.Kind, m.Rows + other.Rows, m.Cols, append(m.Codes, other.Codes...), append(m.Scales, other.Scales...)}
}

// codes are the bytes of a row.
func (m *Matrix) codes(r int) []byte {
	n := m.Kind.RowBytes(m.Cols)
	return m.Codes[r*n : (r+1)*n]
}

// Planes are the bytes of a row: of 6 bits those of the lower four and those of the upper two, of others the same ones twice.
func (m *Matrix) Planes(r int) (low, high []byte) {
	row := m.codes(r)
	if m.Kind == Q6_K {
		return row[:m.Cols/2], row[m.Cols/2:]
	}
	return row, row
}

// Words are the scales of a row.
func (m *Matrix) Words(r int) []uint32 {
	n := m.Kind.RowWords(m.Cols)
	return m.Scales[r*n : (r+1)*n]
}

// number is the number of weight c of a row.
func (m *Matrix) number(r, c int) int {
	row := m.codes(r)
	if m.Kind == Q8_0 {
		return int(int8(row[c]))
	}
	j := c % unit
	q := row[c/unit*16+j%16] >> (j / 16 * 4) & 15
	if m.Kind == Q6_K {
		q |= row[m.Cols/2+c/unit*8+j%8] >> (j / 8 * 2) & 3 << 4
	}
	return int(q)
}

// half is the value of a float16 that is finite: its exponent and fraction at their places in a float32, times the power of two
// between their biases, which also puts right what is below the smallest exponent.
func half(bits uint32) float32 {
	return math.Float32frombits(bits&0x8000<<16|bits&0x7fff<<13) * 0x1p112
}

// scale gives scale and minimum of weight c of a row. Both are exact: a float16 times up to 7 bits.
func (m *Matrix) scale(r, c int) (scale, minimum float32) {
	words := m.Words(r)
	if m.Kind.Span() == unit {
		return half(words[c/unit/2] >> (c / unit % 2 * 16)), 0
	}
	words = words[c/span*spanWords:][:spanWords]
	bytes := func(i int) byte { return byte(words[1+i/4] >> (i % 4 * 8)) }
	if c %= span; m.Kind == Q6_K {
		return half(words[0]) * float32(int8(bytes(c/16))), 0
	}
	return half(words[0]) * float32(bytes(c/32)), half(words[0]>>16) * float32(bytes(8+c/32))
}

// Row writes the weights of row r into dst. It is the definition.
func Row[F float32 | float64](dst []F, m *Matrix, r int) {
	for c := range m.Cols {
		scale, minimum := m.scale(r, c)
		// The conversion keeps the product from being fused with the difference, so that every machine gives the same.
		dst[c] = F(F(scale)*F(m.number(r, c)-m.Kind.Centre())) - F(minimum)
	}
}
