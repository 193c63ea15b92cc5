// Package trit holds a ternary matrix as public models define it: codes −1, 0, +1 and scales, of which there may be one per
// matrix (BitNet), one per block of rows or columns (TriLM's shards) or one per few inputs of a row (Bonsai). Readers of such
// models pass it to an engine, whatever file the weights came from.
//
// Files are read by ggml, gguf and hf, and nothing is multiplied here.
//
// # Why
//
// Why two block sizes and no list of kinds? "Weights (r, c) with the same r/RowBlock and c/ColBlock share a scale" is one
// rule for all of them: an engine that supports blocks supports every kind, and [Matrix.Granularity] names the kinds for
// engines that do not.
package trit

import (
	"fmt"
	"math"
)

// Matrix has (Rows, Cols) weights, for Rows outputs and Cols inputs. Weight (r, c) is its code times its scale.
type Matrix struct {
	Name       string // of the tensor, for messages
	Rows, Cols int
	// Codes are the weights without scales, packed row by row: Rows times ceil(Cols/4) bytes, see [At].
	Codes []byte
	// Weights (r, c) with the same r/RowBlock and c/ColBlock share a scale. RowBlock divides Rows, ColBlock divides Cols.
	RowBlock, ColBlock int
	// Scales has the shape (Rows/RowBlock, Cols/ColBlock), row by row.
	Scales []float32
}

// Granularity says which weights share a scale.
type Granularity int

// The granularities, from coarse to fine.
const (
	PerMatrix   Granularity = iota // one scale
	PerRows                        // one per block of rows
	PerColumns                     // one per block of columns
	PerGroup                       // one per group of inputs of one row
	PerSubBlock                    // blocks that are limited in both directions and are taller than one row
)

func (g Granularity) String() string {
	return [...]string{"one scale", "a scale a block of rows", "a scale a block of columns", "a scale a group of inputs", "a scale a block"}[g]
}

// Granularity says which weights share a scale. A matrix with one row, or one group per row, gets the coarsest name that
// applies.
func (m *Matrix) Granularity() Granularity {
	switch {
	case m.RowBlock == m.Rows && m.ColBlock == m.Cols:
		return PerMatrix
	case m.ColBlock == m.Cols:
		return PerRows
	case m.RowBlock == m.Rows:
		return PerColumns
	case m.RowBlock == 1:
		return PerGroup
	}
	return PerSubBlock
}

// Scale returns the scale of weight (r, c).
func (m *Matrix) Scale(r, c int) float32 {
	return m.Scales[r/m.RowBlock*(m.Cols/m.ColBlock)+c/m.ColBlock]
}

// Row returns the packed codes of row r.
func (m *Matrix) Row(r int) []byte {
	stride := RowBytes(m.Cols)
	return m.Codes[r*stride : (r+1)*stride]
}

// Floats writes the Cols weights of row r into dst. A code times its scale is exact.
func (m *Matrix) Floats(dst []float32, r int) {
	row := m.Row(r)
	for c := range m.Cols {
		dst[c] = float32(At(row, c)) * m.Scale(r, c)
	}
}

// Check refuses lengths that do not fit, code 3 and scales that are not finite.
func (m *Matrix) Check() error {
	if err := m.check(); err != nil {
		return fmt.Errorf("trit: %s: %w", m.Name, err)
	}
	return nil
}

func (m *Matrix) check() error {
	if m.Rows < 1 || m.Cols < 1 {
		return fmt.Errorf("%d × %d weights, want at least one row and one column", m.Rows, m.Cols)
	}
	if m.RowBlock < 1 || m.ColBlock < 1 || m.Rows%m.RowBlock != 0 || m.Cols%m.ColBlock != 0 {
		return fmt.Errorf("scales of blocks of %d × %d, want blocks that divide the %d × %d weights", m.RowBlock, m.ColBlock, m.Rows, m.Cols)
	}
	if want := m.Rows / m.RowBlock * (m.Cols / m.ColBlock); len(m.Scales) != want {
		return fmt.Errorf("%d scales, want %d", len(m.Scales), want)
	}
	for i, s := range m.Scales {
		if s != s || math.IsInf(float64(s), 0) {
			return fmt.Errorf("scale %d of row %d is %v, want a finite number", i%(m.Cols/m.ColBlock), i/(m.Cols/m.ColBlock)*m.RowBlock, s)
		}
	}
	return m.checkCodes()
}

// Merge gives cols neighbouring inputs one scale if that changes no weight: if merged groups have equal scales, or only zero
// weights. Files with groups of 64 often store each scale of a group of 128 twice. If two scales in use differ, it leaves m
// unchanged and returns false.
func (m *Matrix) Merge(cols int) bool {
	if cols%m.ColBlock != 0 || m.Cols%cols != 0 {
		return false
	}
	factor := cols / m.ColBlock
	groups := m.Cols / cols
	merged := make([]float32, m.Rows/m.RowBlock*groups)
	for i := range merged {
		found := false // a group has weights other than zero
		for j, s := range m.Scales[i*factor : (i+1)*factor] {
			if !found && j == 0 {
				merged[i] = s
			}
			if s == merged[i] && found || m.zeros(i/groups*m.RowBlock, (i%groups*factor+j)*m.ColBlock) {
				continue
			}
			if found {
				return false
			}
			merged[i], found = s, true
		}
	}
	m.ColBlock, m.Scales = cols, merged
	return true
}

// zeros reports whether the block that begins at (row, col) has only zero weights.
func (m *Matrix) zeros(row, col int) bool {
	for r := row; r < row+m.RowBlock; r++ {
		for c := col; c < col+m.ColBlock; c++ {
			if At(m.Row(r), c) != 0 {
				return false
			}
		}
	}
	return true
}
