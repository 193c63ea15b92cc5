package trit

import (
	"encoding/binary"
	"fmt"
)

// The codes of four neighbours in a row share a byte, the first in the lowest bits, with code = weight + 1. The last byte of
// a row is filled up with code 1, a zero weight; code 3 never occurs. Package nn/ternary reads the same bytes.

// padding is four codes of weight zero.
const padding = 0b01010101

// RowBytes returns the length of a packed row.
func RowBytes(cols int) int { return (cols + 3) / 4 }

// At returns weight c of a packed row.
func At(row []byte, c int) int { return int(row[c/4]>>(2*(c%4))&3) - 1 }

// Set puts q, one of −1, 0, +1, at column c of a packed row.
func Set(row []byte, c, q int) {
	shift := 2 * (c % 4)
	row[c/4] = row[c/4]&^(3<<shift) | byte(q+1)<<shift
}

// Zeros returns the packed codes of a matrix of zero weights.
func Zeros(rows, cols int) []byte {
	codes := make([]byte, rows*RowBytes(cols))
	for i := range codes {
		codes[i] = padding
	}
	return codes
}

// CheckCodes refuses code 3, and padding that is not zero weights, in packed rows of cols weights; first is the number of the
// first row, for messages.
func CheckCodes(codes []byte, cols, first int) error {
	if cols%4 == 0 && !hasCode3(codes) {
		return nil
	}
	stride := RowBytes(cols)
	for r := 0; r*stride < len(codes); r++ {
		if err := checkRow(codes[r*stride:(r+1)*stride], cols, first+r); err != nil {
			return err
		}
	}
	return nil
}

// hasCode3 tests eight bytes at a time.
func hasCode3(codes []byte) bool {
	const low = 0x5555555555555555
	var found uint64
	for ; len(codes) >= 32; codes = codes[32:] {
		a, b := binary.LittleEndian.Uint64(codes), binary.LittleEndian.Uint64(codes[8:])
		c, d := binary.LittleEndian.Uint64(codes[16:]), binary.LittleEndian.Uint64(codes[24:])
		found |= a&(a>>1) | b&(b>>1) | c&(c>>1) | d&(d>>1)
	}
	for _, b := range codes {
		found |= uint64(b & (b >> 1))
	}
	return found&low != 0
}

func checkRow(row []byte, cols, r int) error {
	for i, b := range row {
		if both := b & (b >> 1) & padding; both != 0 {
			c := 4 * i
			for ; both&3 == 0; both >>= 2 {
				c++
			}
			return fmt.Errorf("row %d, weight %d has code 3, which no ternary weight has", r, c)
		}
	}
	for c := cols; c < 4*len(row); c++ {
		if At(row, c) != 0 {
			return fmt.Errorf("row %d: the padding holds %d, want zero weights", r, At(row, c))
		}
	}
	return nil
}

// checkCodes refuses lengths that do not fit, and whatever CheckCodes refuses.
func (m *Matrix) checkCodes() error {
	if want := m.Rows * RowBytes(m.Cols); len(m.Codes) != want {
		return fmt.Errorf("%d bytes of codes, want %d for %d × %d weights", len(m.Codes), want, m.Rows, m.Cols)
	}
	return CheckCodes(m.Codes, m.Cols, 0)
}
