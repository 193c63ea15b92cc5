// Package ternary turns float weights into −1, 0, +1 and packs them, two bits a weight. It is the
// one place of the model on the host that knows the order of the bits, which io/trit shares; it
// multiplies nothing.
//
// A matrix (rows, cols) is packed row by row, each row in ceil(cols/4) bytes, lowest bits first,
// code = Q + 1. Code 3 never occurs; the padding at a row's end is code 1, a zero weight.
//
// Why codes 0, 1, 2 and not two's complement? Σ Q·x = Σ code·x − Σ x needs no subtraction a
// weight, and code 3 is left over to find broken files.
package ternary

import (
	"fmt"
	"math"

	"github.com/x448/float16"
)

// MinGamma is the smallest γ: a matrix of zeros must not divide by zero.
const MinGamma = 1e-5

// padding is four codes of weight zero.
const padding = 0b01010101

// RowBytes is the length of one packed row.
func RowBytes(cols int) int { return (cols + 3) / 4 }

// Gamma is max(mean|w|, MinGamma): of float32 by [Sum], of float64, the reference, summed in float64.
func Gamma[F float32 | float64](w []F) F {
	if w, ok := any(w).([]float32); ok {
		var s Sum
		s.Add(w)
		return F(s.Gamma(len(w)))
	}
	sum := 0.0
	for _, x := range w {
		sum += math.Abs(float64(x))
	}
	return F(max(sum/float64(len(w)), MinGamma))
}

// Round is clamp(round(w/gamma), −1, +1) with halves rounded away from zero.
//
// The division is as exact as comparing |w| with gamma/2, which is exact: float32 numbers below gamma/2 are smaller by
// at least one part in 2²⁴ of it, and the quotient's largest number below ½ is ½ − 2⁻²⁵, one part in 2²⁴. So it never rounds
// up to ½.
func Round[F ~float32 | ~float64](w, gamma F) int {
	switch q := w / gamma; {
	case q >= 0.5:
		return 1
	case q <= -0.5:
		return -1
	}
	return 0
}

// HalfEven is how BitNet's public trainers round a matrix of mean magnitude γ, in float32 (arXiv 2402.17764): with s = 1/γ the
// codes are round(w·s) cut to −1, 0, +1, halves to 0, and the scale is 1/s. It gives the least |w| that is not rounded to 0,
// so that the codes are those of [Quantize] with a γ of twice that, and the scale.
func HalfEven(gamma float32) (least, scale float32) {
	if !(gamma < 1e30) { // also of what is no number
		return gamma / 2, gamma
	}
	s := 1 / gamma
	above := func(w float32) bool { return float32(w*s) > 0.5 }
	least = gamma / 2
	for !above(least) {
		least = math.Nextafter32(least, math.MaxFloat32)
	}
	for below := math.Nextafter32(least, 0); above(below); below = math.Nextafter32(least, 0) {
		least = below
	}
	return least, 1 / s
}

// QuantizeGroup writes the codes of one group of weights, which begin at column first of a packed row, and gives the group's
// scale, rounded to float16: a weight is no zero from half of the largest magnitude on, and the scale is the mean magnitude of
// those, which is the nearest for these codes (arXiv 1605.04711). Of weights that are −d, 0 and d these are the codes and d. Of
// float32 weights the sum is exact, and the scale the float16 nearest to the mean, as the quotient has bits enough in float64.
func QuantizeGroup[F ~float32 | ~float64](row []byte, first int, w []F) (scale float16.Float16) {
	largest := F(0)
	for _, x := range w {
		largest = max(largest, max(x, -x))
	}
	sum, n := 0.0, 0
	for i, x := range w {
		q := 0
		if magnitude := max(x, -x); magnitude > 0 && float64(magnitude) >= float64(largest)/2 {
			sum += float64(magnitude)
			n++
			if q = 1; x < 0 {
				q = -1
			}
		}
		Set(row, first+i, q)
	}
	if largest != largest { // NaN, which codes cannot show
		return float16.NaN()
	}
	return half(sum / float64(max(n, 1)))
}

// half is the float16 nearest to x ≥ 0, halves to even. The float32 between them has an odd last bit where it is not x itself,
// so that it never lies halfway where x does not.
func half(x float64) float16.Float16 {
	between := float32(x)
	if float64(between) > x {
		between = math.Nextafter32(between, 0)
	}
	if float64(between) < x {
		between = math.Float32frombits(math.Float32bits(between) | 1)
	}
	return float16.Fromfloat32(between)
}

// Quantize packs the matrix w (rows, cols) into codes, rows·RowBytes(cols) long, by the given γ.
func Quantize[F ~float32 | ~float64](codes []byte, w []F, rows, cols int, gamma F) {
	stride := RowBytes(cols)
	for r := range rows {
		row := codes[r*stride : (r+1)*stride]
		for i := range row {
			row[i] = padding
		}
		for c, x := range w[r*cols : (r+1)*cols] {
			Set(row, c, Round(x, gamma))
		}
	}
}

// At is weight c of a packed row.
func At(row []byte, c int) int { return int(row[c/4]>>(2*(c%4))&3) - 1 }

// Set puts q, one of −1, 0, +1, at column c of a packed row.
func Set(row []byte, c, q int) {
	shift := 2 * (c % 4)
	row[c/4] = row[c/4]&^(3<<shift) | byte(q+1)<<shift
}

// Unpack writes the weights of a packed matrix (rows, cols) as −1, 0, +1.
func Unpack[F ~float32 | ~float64](dst []F, codes []byte, rows, cols int) {
	stride := RowBytes(cols)
	for r := range rows {
		row := codes[r*stride : (r+1)*stride]
		for c := range cols {
			dst[r*cols+c] = F(At(row, c))
		}
	}
}

// Counts are how many weights of a packed matrix are −1, 0 and +1.
func Counts(codes []byte, rows, cols int) (counts [3]int) {
	stride := RowBytes(cols)
	for r := range rows {
		for c := range cols {
			counts[At(codes[r*stride:], c)+1]++
		}
	}
	return counts
}

// Validate refuses codes that no packing writes: code 3, or padding that is not zero weights.
func Validate(codes []byte, rows, cols int) error {
	stride := RowBytes(cols)
	if len(codes) != rows*stride {
		return fmt.Errorf("got %d bytes for %d × %d ternary weights, want %d", len(codes), rows, cols, rows*stride)
	}
	for r := range rows {
		row := codes[r*stride : (r+1)*stride]
		for i, b := range row {
			if b&(b>>1)&padding != 0 {
				return fmt.Errorf("row %d, byte %d: got code 3, which no ternary weight has", r, i)
			}
		}
		for c := cols; c < 4*stride; c++ {
			if At(row, c) != 0 {
				return fmt.Errorf("row %d: got %d in the padding, want zero weights", r, At(row, c))
			}
		}
	}
	return nil
}
