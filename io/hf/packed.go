package hf

import (
	"fmt"
	"math"
	"slices"

	"bitgpu/io/safetensors"
	"bitgpu/io/trit"
)

// Packed reads BitNet's packed weights: U8 (out/4, in), where byte (r, c) holds the codes, weight + 1, of rows r, r + out/4,
// r + out/2 and r + 3·out/4 from the lowest two bits up. The scale is a single number: mean|W| or, if it divides, the
// inverse, as in layers of the class "bitlinear".
func Packed(t, scale safetensors.Tensor, divides bool) (*trit.Matrix, error) {
	if t.DType != safetensors.U8 || len(t.Shape) != 2 || len(t.Data) == 0 {
		return nil, fmt.Errorf("type %s and shape %s, want U8 (out/4, in)", t.DType, safetensors.FormatShape(t.Shape))
	}
	s, err := scale.Float32s()
	if err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	if len(s) != 1 || !(s[0] > 0) || math.IsInf(float64(s[0]), 0) {
		return nil, fmt.Errorf("scale %s is %v, want one positive number", scale.Name, clip(s))
	}
	if divides {
		s[0] = float32(1 / float64(s[0]))
	}
	quarter, cols := t.Shape[0], t.Shape[1]
	if quarter > math.MaxInt/4 {
		return nil, fmt.Errorf("shape %s is more than can be addressed", safetensors.FormatShape(t.Shape))
	}
	m := perMatrix(t.Name, 4*quarter, cols, s[0])
	for part := range 4 {
		for r := range quarter {
			row := m.Row(part*quarter + r)
			for c, b := range t.Data[r*cols : (r+1)*cols] {
				trit.Set(row, c, int(b>>(2*part)&3)-1)
			}
		}
	}
	return m, m.Check()
}

// perMatrix returns a matrix of zeros with one scale.
func perMatrix(name string, rows, cols int, scale float32) *trit.Matrix {
	return &trit.Matrix{Name: name, Rows: rows, Cols: cols, Codes: trit.Zeros(rows, cols), RowBlock: rows, ColBlock: cols, Scales: []float32{scale}}
}

// clip shortens numbers for a message.
func clip(s []float32) []float32 { return s[:min(len(s), 4)] }

// MLX reads weights that MLX packed with two bits: U32 (out, in/16), sixteen codes from the lowest bits up, with scales and
// biases (out, in/group). A weight is scale·code + bias, which is ternary if the bias is −scale.
func MLX(t, scales, biases safetensors.Tensor, group int) (*trit.Matrix, error) {
	if t.DType != safetensors.U32 || len(t.Shape) != 2 || len(t.Data) == 0 {
		return nil, fmt.Errorf("type %s and shape %s, want U32 (out, in/16)", t.DType, safetensors.FormatShape(t.Shape))
	}
	rows, words := t.Shape[0], t.Shape[1]
	if len(scales.Shape) != 2 || scales.Shape[0] != rows || !slices.Equal(scales.Shape, biases.Shape) || scales.Shape[1] == 0 || group < 1 {
		return nil, fmt.Errorf("shape %s with scales %s, biases %s and groups of %d, want scales and biases (out, in/group)",
			safetensors.FormatShape(t.Shape), safetensors.FormatShape(scales.Shape), safetensors.FormatShape(biases.Shape), group)
	}
	if words > math.MaxInt/32 || group > math.MaxInt/32/scales.Shape[1] || 32*words != 2*group*scales.Shape[1] {
		return nil, fmt.Errorf("%d words and %d groups of %d a row are not two bits a weight", words, scales.Shape[1], group)
	}
	m := &trit.Matrix{Name: t.Name, Rows: rows, Cols: 16 * words, RowBlock: 1, ColBlock: group}
	var err error
	if m.Scales, err = scales.Float32s(); err != nil {
		return nil, err
	}
	bias, err := biases.Float32s()
	if err != nil {
		return nil, err
	}
	for i, b := range bias {
		if b != -m.Scales[i] {
			return nil, fmt.Errorf("row %d, group %d has the scale %v and the bias %v, want the bias −scale of ternary weights", i/scales.Shape[1], i%scales.Shape[1], m.Scales[i], b)
		}
	}
	m.Codes = slices.Clone(t.Data) // the first code of a little-endian word is in the lowest bits of its first byte
	return m, m.Check()
}
