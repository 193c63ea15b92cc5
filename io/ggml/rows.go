package ggml

import (
	"encoding/binary"
	"fmt"
)

// Packable refuses a matrix whose rows [Matrix.PackedRow] cannot give: one that is not ternary, or has other bytes than its
// layout takes.
func (m *Matrix) Packable() error {
	err := m.check()
	if err == nil && !m.Layout.Ternary() {
		err = fmt.Errorf("weights of %v are floats, want a ternary type", m.Layout)
	}
	if err != nil {
		return fmt.Errorf("ggml: %s: %w", m.Name, err)
	}
	return nil
}

// PackedRow writes the codes of row r into the trit.RowBytes(Cols) bytes of dst, as package trit packs them. They are not
// checked: code 3 stays. The matrix must be [Matrix.Packable].
func (m *Matrix) PackedRow(dst []byte, r int) {
	f := m.Layout.format()
	if m.Cols%f.weights != 0 { // of I2_S, whose blocks run on
		m.pack(dst, m.codes(make([]byte, m.Cols+2*f.weights), r))
		return
	}
	n, each := m.Cols/f.weights, f.weights/4
	data := m.Data[r*n*f.bytes:]
	if f.ordered {
		at := int(f.places[0].at)
		for i := range n {
			copy(dst[i*each:(i+1)*each], data[i*f.bytes+at:])
		}
		return
	}
	for i := range n {
		f.packed(dst[i*each:(i+1)*each], data[i*f.bytes:(i+1)*f.bytes])
	}
}

// HalfScales writes the scales of row r, one a block, as the float16 bits that they are. I2_S has none.
func (m *Matrix) HalfScales(dst []uint16, r int) {
	f := m.Layout.format()
	n := m.Cols / f.weights
	data := m.Data[r*n*f.bytes+f.scaleAt:]
	for i := range n {
		dst[i] = binary.LittleEndian.Uint16(data[i*f.bytes:])
	}
}

// pack writes codes, one a byte, four a byte; what fills the last byte up is a zero weight.
func (m *Matrix) pack(dst, codes []byte) {
	for ; len(codes) >= 4; dst, codes = dst[1:], codes[4:] {
		dst[0] = codes[0] | codes[1]<<2 | codes[2]<<4 | codes[3]<<6
	}
	if len(codes) > 0 {
		dst[0] = 0b01010101
	}
	for c, q := range codes {
		dst[0] = dst[0]&^(3<<(2*c)) | q<<(2*c)
	}
}

// packed writes the codes of a strided block four a byte.
func (f *format) packed(dst, block []byte) {
	for _, run := range f.runs {
		src := block[run.at : run.at+run.bytes]
		switch {
		case f.trits && run.bytes%4 == 0:
			for n := range run.weights {
				t := &digitsAt[n]
				for m := 0; m < len(src); m += 4 {
					dst[0] = t[src[m]] | t[src[m+1]]<<2 | t[src[m+2]]<<4 | t[src[m+3]]<<6
					dst = dst[1:]
				}
			}
		case f.trits: // two bytes
			for n := 0; n < run.weights; n += 2 {
				a, b := &digitsAt[n], &digitsAt[n+1]
				dst[0] = a[src[0]] | a[src[1]]<<2 | b[src[0]]<<4 | b[src[1]]<<6
				dst = dst[1:]
			}
		default:
			for n := range run.weights {
				shift := f.shifts[n]
				for m := 0; m < len(src); m += 8 {
					// The codes of four bytes, two bits in eight each, move together.
					x := binary.LittleEndian.Uint64(src[m:]) >> shift & 0x0303030303030303
					x |= x >> 6
					x |= x >> 12
					dst[0], dst[1] = byte(x), byte(x>>32)
					dst = dst[2:]
				}
			}
		}
	}
}

// digitsAt are the n-th base-3 digits of bytes.
var digitsAt = func() (all [5][256]uint8) {
	for b := range 256 {
		for n := range all {
			all[n][b] = digits[b][n]
		}
	}
	return all
}()
