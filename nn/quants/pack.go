package quants

import "encoding/binary"

// Lanes of eight bytes at once.
const (
	nibbles = 0x0f0f0f0f0f0f0f0f
	pairs   = 0x0303030303030303
)

// Pack stores the numbers of row r, one a byte.
func (m *Matrix) Pack(r int, numbers []byte) {
	row := m.codes(r)
	if m.Kind == Q8_0 {
		copy(row, numbers[:m.Cols])
		return
	}
	le := binary.LittleEndian
	low, high := row[:m.Cols/2], row[m.Cols/2:]
	for q := numbers[:m.Cols]; len(q) > 0; q = q[unit:] {
		a, b, c, d := le.Uint64(q), le.Uint64(q[8:]), le.Uint64(q[16:]), le.Uint64(q[24:])
		le.PutUint64(low, a&nibbles|c&nibbles<<4)
		le.PutUint64(low[8:], b&nibbles|d&nibbles<<4)
		low = low[16:]
		if m.Kind == Q6_K {
			le.PutUint64(high, a>>4&pairs|b>>4&pairs<<2|c>>4&pairs<<4|d>>4&pairs<<6)
			high = high[8:]
		}
	}
}

// SetScale stores among the words of a row what the numbers of a block of Span weights are multiplied by: float16 bits, and of Q4_K
// and Q6_K the factors of these.
func (m *Matrix) SetScale(words []uint32, block int, d, dmin uint16, factors, minima *[16]byte) {
	if m.Kind.Span() == unit {
		words[block/2] |= uint32(d) << (block % 2 * 16)
		return
	}
	words = words[block*spanWords:][:spanWords]
	words[0] = uint32(d) | uint32(dmin)<<16
	bytes := *factors
	if m.Kind == Q4_K {
		copy(bytes[8:], minima[:8])
	}
	for i := range 4 {
		words[1+i] = binary.LittleEndian.Uint32(bytes[4*i:])
	}
}

// Unpack writes the numbers of row r from column first on, as many as fill dst: whole units, one a byte.
func (m *Matrix) Unpack(dst []byte, r, first int) {
	row := m.codes(r)
	if m.Kind == Q8_0 {
		copy(dst, row[first:])
		return
	}
	le := binary.LittleEndian
	low := row[first/2:][:len(dst)/2]
	if m.Kind != Q6_K {
		for ; len(dst) >= unit && len(low) >= 16; dst, low = dst[unit:], low[16:] {
			a, b := le.Uint64(low), le.Uint64(low[8:])
			le.PutUint64(dst, a&nibbles)
			le.PutUint64(dst[8:], b&nibbles)
			le.PutUint64(dst[16:], a>>4&nibbles)
			le.PutUint64(dst[24:], b>>4&nibbles)
		}
		return
	}
	high := row[m.Cols/2+first/4:][:len(dst)/4]
	for ; len(dst) >= unit && len(low) >= 16 && len(high) >= 8; dst, low, high = dst[unit:], low[16:], high[8:] {
		a, b, h := le.Uint64(low), le.Uint64(low[8:]), le.Uint64(high)
		le.PutUint64(dst, a&nibbles|h&pairs<<4)
		le.PutUint64(dst[8:], b&nibbles|h>>2&pairs<<4)
		le.PutUint64(dst[16:], a>>4&nibbles|h>>4&pairs<<4)
		le.PutUint64(dst[24:], b>>4&nibbles|h>>6&pairs<<4)
	}
}

// Factors writes scale and minimum of each FactorUnit weights of row r from column first on, a multiple of the kind's Span,
// as many as fill scales and minima: whole spans.
func (m *Matrix) Factors(scales, minima []float32, r, first int) {
	words := m.Words(r)
	minima = minima[:len(scales)]
	if m.Kind.Span() == unit {
		clear(minima)
		for i := 0; i+2 <= len(scales); i += 2 {
			g := first/unit + i/2
			d := half(words[g/2] >> (g % 2 * 16))
			scales[i], scales[i+1] = d, d
		}
		return
	}
	words = words[first/span*spanWords:]
	for ; len(scales) >= 16 && len(minima) >= 16; scales, minima, words = scales[16:], minima[16:], words[spanWords:] {
		d, s, least := half(words[0]), scales[:16], minima[:16]
		if m.Kind == Q6_K {
			clear(least)
			for w := range 4 {
				x := words[1+w]
				s[4*w] = d * float32(int8(x))
				s[4*w+1] = d * float32(int8(x>>8))
				s[4*w+2] = d * float32(int8(x>>16))
				s[4*w+3] = d * float32(int8(x>>24))
			}
			continue
		}
		dmin := half(words[0] >> 16)
		for i := range 8 {
			scale, minimum := d*float32(uint8(words[1+i/4]>>(i%4*8))), dmin*float32(uint8(words[3+i/4]>>(i%4*8)))
			s[2*i], s[2*i+1] = scale, scale
			least[2*i], least[2*i+1] = minimum, minimum
		}
	}
}

// Floats writes the weights of row r into dst.
func (m *Matrix) Floats(dst []float32, r int) {
	var numbers [span]byte
	var scales, minima [span / FactorUnit]float32
	centre := m.Kind.Centre()
	for first := 0; first < m.Cols; first += span {
		q := numbers[:min(span, m.Cols-first)]
		n := len(q) / FactorUnit
		m.Unpack(q, r, first)
		m.Factors(scales[:n], minima[:n], r, first)
		for i, x := range q {
			number := int(x)
			if m.Kind == Q8_0 {
				number = int(int8(x))
			}
			dst[first+i] = float32(scales[i/FactorUnit]*float32(number-centre)) - minima[i/FactorUnit]
		}
	}
}
