package trit

import "fmt"

// The codes of four neighbours of a row are one byte, the first in the lowest bits, code = weight + 1. What fills a row's
// last byte up is code 1, a zero weight; code 3 never occurs. Package bitgpu/nn/ternary reads the same bytes.

// padding is four codes of weight zero.
const padding = 0b01010101

// RowBytes is the length of one packed row.
func RowBytes(cols int) int { return (cols + 3) / 4 }

// At is weight c of a packed row.
func At(row []byte, c int) int { return int(row[c/4]>>(2*(c%4))&3) - 1 }

// Set puts q, one of −1, 0, +1, at column c of a packed row.
func Set(row []byte, c, q int) {
	shift := 2 * (c % 4)
	row[c/4] = row[c/4]&^(3<<shift) | byte(q+1)<<shift
}

// Zeros are the packed codes of a matrix of zero weights.
func Zeros(rows, cols int) []byte {
	codes := make([]byte, rows*RowBytes(cols))
	for i := range codes {
		codes[i] = padding
	}
	return codes
}

// checkCodes refuses lengths that do not fit, code 3, and padding that is not zero weights.
func (m *Matrix) checkCodes() error {
	if want := m.Rows * RowBytes(m.Cols); len(m.Codes) != want {
		return fmt.Errorf("%d bytes of codes, want %d for %d × %d weights", len(m.Codes), want, m.Rows, m.Cols)
	}
	for r := range m.Rows {
		row := m.Row(r)
		for i, b := range row {
			if both := b & (b >> 1) & padding; both != 0 {
				c := 4 * i
				for ; both&3 == 0; both >>= 2 {
					c++
				}
				return fmt.Errorf("row %d, weight %d has code 3, which no ternary weight has", r, c)
			}
		}
		for c := m.Cols; c < 4*len(row); c++ {
			if At(row, c) != 0 {
				return fmt.Errorf("row %d: the padding holds %d, want zero weights", r, At(row, c))
			}
		}
	}
	return nil
}
