package ggml

import (
	"encoding/binary"
	"fmt"

	"github.com/x448/float16"
)

// Packable returns an error for a matrix that [Matrix.PackedRow] cannot read: one that is not ternary, or whose size does not
// match its layout.
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

// PackedRow writes the codes of row r into the trit.RowBytes(Cols) bytes of dst, packed as in package trit. Codes are not
// checked: code 3 remains. The matrix must be [Matrix.Packable].
func (m *Matrix) PackedRow(dst []byte, r int) {
	f := m.Layout.format()
	if m.Cols%f.weights != 0 { // I2_S, whose blocks cross rows
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

// HalfScales writes the scales of row r, one per block, as their float16 bits. I2_S has none.
func (m *Matrix) HalfScales(dst []uint16, r int) {
	f := m.Layout.format()
	n := m.Cols / f.weights
	data := m.Data[r*n*f.bytes+f.scaleAt:]
	for i := range n {
		dst[i] = binary.LittleEndian.Uint16(data[i*f.bytes:])
	}
}

// Numbers writes the whole numbers of row r, one per byte, and calls steps with the scales of each block. The layout must be
// [Layout.Stepped]. Scales that are not finite are refused.
func (m *Matrix) Numbers(dst []byte, r int, steps func(block int, s Steps)) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("ggml: %s: %w", m.Name, err)
	}
	f := m.Layout.format()
	n := m.Cols / f.weights
	data := m.Data[r*n*f.bytes:]
	for i := range n {
		block := data[i*f.bytes : (i+1)*f.bytes]
		f.stepped.numbers(dst[i*f.weights:(i+1)*f.weights], block)
		s := f.stepped.steps(block)
		for _, bits := range [...]uint16{s.D, s.DMin} {
			if h := float16.Frombits(bits); !h.IsFinite() {
				return fmt.Errorf("ggml: %s: row %d has the scale %v, want a finite number", m.Name, r, h)
			}
		}
		steps(i, s)
	}
	return nil
}

// pack converts codes from one per byte to four per byte, and fills the last byte up with zero weights.
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

// packed writes the codes of a strided block, four per byte.
func (f *format) packed(dst, block []byte) {
	for _, run := range f.runs {
		src := block[run.at : run.at+run.bytes]
		out := dst[:run.bytes*run.weights/4]
		dst = dst[len(out):]
		switch {
		case f.trits && run.bytes%8 == 0:
			packDigits(out, src)
		case f.trits && run.bytes == 4:
			for n := range out {
				t := &digitsAt[n]
				out[n] = t[src[0]] | t[src[1]]<<2 | t[src[2]]<<4 | t[src[3]]<<6
			}
		case f.trits: // two bytes
			for n := range out {
				a, b := &digitsAt[2*n], &digitsAt[2*n+1]
				out[n] = a[src[0]] | a[src[1]]<<2 | b[src[0]]<<4 | b[src[1]]<<6
			}
		default: // 32 bytes
			for n, shift := range f.shifts {
				var all uint64
				for m := range 4 {
					all |= gather(binary.LittleEndian.Uint64(src[8*m:])>>shift&lowTwo) << (16 * m)
				}
				binary.LittleEndian.PutUint64(out[8*n:], all)
			}
		}
	}
}

// lowTwo selects the lowest two bits of eight bytes.
const lowTwo = 0x0303030303030303

// gather moves the codes in the lowest bits of eight bytes together into two bytes.
func gather(x uint64) uint64 {
	x |= x >> 6
	x |= x >> 12
	return x&0xff | x>>24&0xff00
}

// packDigits writes the five digits of each byte of src, first all first digits, and so on; len(src) is a multiple of 8. The
// next digit of a byte b is b·3 >> 8, and the digits after it are those of b·3 mod 256.
func packDigits(out, src []byte) {
	const lanes = 0x00ff00ff00ff00ff
	each := len(src) / 4
	for m := 0; m < len(src); m += 8 {
		x := binary.LittleEndian.Uint64(src[m:])
		even, odd := x&lanes, x>>8&lanes
		for at := m / 4; at < len(out); at += each {
			even, odd = even*3, odd*3
			codes := gather(even>>8&0x0003000300030003 | odd&0x0300030003000300)
			binary.LittleEndian.PutUint16(out[at:], uint16(codes))
			even, odd = even&lanes, odd&lanes
		}
	}
}

// digitsAt has the n-th base-3 digits of all bytes.
var digitsAt = func() (all [5][256]uint8) {
	for b := range 256 {
		for n := range all {
			all[n][b] = digits[b][n]
		}
	}
	return all
}()
