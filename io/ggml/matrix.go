package ggml

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"bitgpu/io/trit"

	"github.com/x448/float16"
)

// Matrix is the content of a tensor as rows of weights: Rows outputs of Cols inputs. A vector is one row.
type Matrix struct {
	Name       string // for messages
	Type       Type   // for messages if Layout is zero
	Layout     Layout
	Rows, Cols int
	Data       []byte
}

// check returns the reason why the weights cannot be read.
func (m *Matrix) check() error {
	if m.Type == Q1_0 && m.Layout == 0 {
		return errors.New("type Q1_0 is binary, weights of −1 and +1 alone, and no ternary one: not supported")
	}
	if !m.Layout.Known() {
		return fmt.Errorf("weights of type %d, %v, cannot be read, want F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K, TQ1_0, TQ2_0, I2_S, Q2_0, PQ2_0 or PTQ1_0", uint32(m.Type), m.Type)
	}
	want, err := m.Layout.Bytes(m.Rows, m.Cols)
	if err == nil && len(m.Data) != want {
		err = fmt.Errorf("%d bytes, want %d for %d × %d weights of %v", len(m.Data), want, m.Rows, m.Cols, m.Layout)
	}
	return err
}

// group returns how many inputs of a row share a scale: all of them for I2_S.
func (m *Matrix) group() int {
	if m.Layout == LayoutI2_S {
		return m.Cols
	}
	return m.Layout.format().weights
}

// scale returns that of block i, counted over all rows.
func (m *Matrix) scale(i int) float32 {
	f := m.Layout.format()
	if m.Layout == LayoutI2_S {
		return math.Float32frombits(binary.LittleEndian.Uint32(m.Data[len(m.Data)-i2sTail:]))
	}
	return half(m.Data[i*f.bytes+f.scaleAt:])
}

// Ternary returns codes and scales unrounded: one scale per block, or one in total for I2_S.
func (m *Matrix) Ternary() (*trit.Matrix, error) { return m.TernaryRows(0, m.Rows) }

// TernaryRows is Ternary for rows first to last, last excluded, to read a matrix in parts. Errors count rows from 0 and name
// the part.
func (m *Matrix) TernaryRows(first, last int) (*trit.Matrix, error) {
	out, err := m.ternary(first, last)
	if err != nil {
		return nil, fmt.Errorf("ggml: %s: %w", m.Name, err)
	}
	if err := out.Check(); err != nil { // finds code 3
		return nil, err
	}
	return out, nil
}

func (m *Matrix) ternary(first, last int) (*trit.Matrix, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	switch {
	case !m.Layout.Ternary():
		return nil, fmt.Errorf("weights of %v are floats, want a ternary type", m.Layout)
	case first < 0 || first >= last || last > m.Rows:
		return nil, fmt.Errorf("rows %d to before %d, want at least one of %d", first, last, m.Rows)
	}
	f := m.Layout.format()
	out := &trit.Matrix{Name: m.Name, Rows: last - first, Cols: m.Cols, RowBlock: 1, ColBlock: m.group(), Codes: trit.Zeros(last-first, m.Cols)}
	if out.Rows < m.Rows {
		out.Name = fmt.Sprintf("%s from row %d on", m.Name, first)
	}
	begin := first * m.Cols / f.weights // the first block, except for I2_S
	if m.Layout == LayoutI2_S {
		out.RowBlock, out.Scales = out.Rows, []float32{m.scale(0)}
	} else {
		out.Scales = make([]float32, out.Rows*m.Cols/f.weights)
		for i := range out.Scales {
			out.Scales[i] = m.scale(begin + i)
		}
	}
	for r := range out.Rows {
		m.PackedRow(out.Row(r), first+r)
	}
	return out, nil
}

// codes returns the codes of row r, one per byte, in space for the row and two blocks.
func (m *Matrix) codes(space []byte, r int) []byte {
	f := m.Layout.format()
	first, last := r*m.Cols/f.weights, ((r+1)*m.Cols-1)/f.weights
	for i := first; i <= last; i++ {
		f.unpack(space[(i-first)*f.weights:], m.Data[i*f.bytes:(i+1)*f.bytes])
	}
	begin := r*m.Cols - first*f.weights
	return space[begin : begin+m.Cols]
}

// Floats writes the Cols weights of row r into dst. It refuses weights that are not finite, and code 3 except in Q2_0, where
// it means +2.
func (m *Matrix) Floats(dst []float32, r int) error {
	if err := m.floats(dst, r); err != nil {
		return fmt.Errorf("ggml: %s: %w", m.Name, err)
	}
	return nil
}

func (m *Matrix) floats(dst []float32, r int) error {
	if err := m.check(); err != nil {
		return err
	}
	if r < 0 || r >= m.Rows || len(dst) < m.Cols {
		return fmt.Errorf("row %d into %d places, want one of %d rows into %d", r, len(dst), m.Rows, m.Cols)
	}
	dst = dst[:m.Cols]
	f := m.Layout.format()
	blocks := m.Cols / f.weights // except for I2_S
	if m.Layout.Ternary() {
		for c, q := range m.codes(make([]byte, m.Cols+2*f.weights), r) {
			if q == 3 && m.Layout != LayoutQ2_0 {
				return fmt.Errorf("row %d, weight %d has code 3, which no ternary weight has", r, c)
			}
			dst[c] = float32(int(q)-1) * m.scale(r*blocks+c/f.weights)
		}
	} else {
		for i := range blocks {
			f.floats(dst[i*f.weights:(i+1)*f.weights], m.Data[(r*blocks+i)*f.bytes:(r*blocks+i+1)*f.bytes])
		}
	}
	for c, x := range dst {
		if x != x || math.IsInf(float64(x), 0) {
			return fmt.Errorf("row %d, weight %d is %v, want a finite number", r, c, x)
		}
	}
	return nil
}

// Encode writes a matrix in a ternary layout without changing a weight. It refuses scales that the layout cannot hold:
// unequal ones within a block, and, except in I2_S, those that are not float16.
func Encode(l Layout, m *trit.Matrix) ([]byte, error) {
	data, err := encode(l, m)
	if err != nil {
		return nil, fmt.Errorf("ggml: %s: %w", m.Name, err)
	}
	return data, nil
}

func encode(l Layout, m *trit.Matrix) ([]byte, error) {
	if !l.Ternary() {
		return nil, fmt.Errorf("%v is no ternary layout", l)
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	size, err := l.Bytes(m.Rows, m.Cols)
	if err != nil {
		return nil, err
	}
	f := l.format()
	switch {
	case l == LayoutI2_S && len(m.Scales) != 1:
		return nil, fmt.Errorf("%v, want one scale for type I2_S", m.Granularity())
	case l != LayoutI2_S && m.ColBlock%f.weights != 0:
		return nil, fmt.Errorf("a scale for %d inputs of a row, want one for a multiple of %d in %v", m.ColBlock, f.weights, l)
	}
	data := make([]byte, size)
	codes := make([]byte, f.weights)
	for i := range m.Rows * m.Cols / f.weights {
		block := data[i*f.bytes : (i+1)*f.bytes]
		if f.ordered && m.Cols%f.weights == 0 {
			copy(block[f.places[0].at:], m.Codes[i*f.weights/4:(i+1)*f.weights/4])
		} else {
			for j := range codes {
				at := i*f.weights + j
				codes[j] = byte(trit.At(m.Row(at/m.Cols), at%m.Cols) + 1)
			}
			f.pack(block, codes)
		}
		if l == LayoutI2_S {
			continue
		}
		row := i * f.weights / m.Cols
		scale := m.Scale(row, i*f.weights%m.Cols)
		h := float16.Fromfloat32(scale)
		if h.Float32() != scale {
			return nil, fmt.Errorf("row %d has the scale %v, want a float16 for %v, the nearest of which is %v", row, scale, l, h.Float32())
		}
		binary.LittleEndian.PutUint16(block[f.scaleAt:], h.Bits())
	}
	if l == LayoutI2_S {
		binary.LittleEndian.PutUint32(data[size-i2sTail:], math.Float32bits(m.Scales[0]))
	}
	return data, nil
}
