// Package trit holds a ternary matrix as public models mean it: codes −1, 0, +1 and scales, of which there may be one a
// matrix (BitNet), one a block of rows or of columns (TriLM's shards) or one a few inputs of a row (Bonsai). It is what
// readers of such models hand to an engine, whatever file the weights came from.
//
// It is not for files, which ggml, gguf and hf read, and it multiplies nothing.
//
// # Why
//
// Why two block lengths and no list of kinds? "Weights (r, c) with the same r/RowBlock and c/ColBlock share a scale" is
// one rule for all of them: an engine that can do blocks can do every kind, and [Matrix.Granularity] names the four for
// those that cannot.
package trit

import (
	"fmt"
	"math"
)

// Matrix is (Rows, Cols) weights, Rows outputs of Cols inputs: weight (r, c) is its code times its scale.
type Matrix struct {
	Name       string // of the tensor, for messages
	Rows, Cols int
	// Codes are the weights without their scales, packed row by row: Rows times ceil(Cols/4) bytes, see [At].
	Codes []byte
	// Weights (r, c) with the same r/RowBlock and c/ColBlock share a scale. RowBlock divides Rows, ColBlock divides Cols.
	RowBlock, ColBlock int
	// Scales are (Rows/RowBlock, Cols/ColBlock), row by row.
	Scales []float32
}

// Granularity says what shares a scale.
type Granularity int

// The granularities, from coarse to fine.
const (
	PerMatrix   Granularity = iota // one scale
	PerRows                        // one a block of rows
	PerColumns                     // one a block of columns
	PerGroup                       // one a group of inputs of one row
	PerSubBlock                    // blocks that are cut in both directions and are taller than one row
)

func (g Granularity) String() string {
	return [...]string{"one scale", "a scale a block of rows", "a scale a block of columns", "a scale a group of inputs", "a scale a block"}[g]
}

// Granularity says what shares a scale. A matrix of one row or one group a row has the coarsest name that is true.
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

// Scale is the scale of weight (r, c).
func (m *Matrix) Scale(r, c int) float32 {
	return m.Scales[r/m.RowBlock*(m.Cols/m.ColBlock)+c/m.ColBlock]
}

// Row is the packed codes of row r.
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

// Merge gives cols neighbouring inputs one scale if that changes no weight: if the groups that are merged
// have equal scales, or weights of zero only. Files with groups of 64 often hold each scale of a group of 128 twice.
// It leaves m as it was, and says false, where two scales that count differ.
func (m *Matrix) Merge(cols int) bool {
	if cols%m.ColBlock != 0 || m.Cols%cols != 0 {
		return false
	}
	factor := cols / m.ColBlock
	groups := m.Cols / cols
	merged := make([]float32, m.Rows/m.RowBlock*groups)
	for i := range merged {
		found := false // a group of it has weights other than zero
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

// zeros says whether the block that begins at (row, col) has weights of zero only.
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
