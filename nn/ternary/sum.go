package ternary

import (
	"math"
	"math/bits"
)

// Sum is Σ|w| of float32 weights without any rounding: their significands are whole numbers, which are added up for each
// exponent by itself. So the order of additions and how they are spread over threads cannot matter, and the
// mean is the same to the bit on every processor; linear_quantize.wgsl adds the same whole numbers. There is room for
// 2⁴⁰ weights.
type Sum struct {
	significands [256]uint64 // by the exponent as float32 stores it
}

// Add adds the magnitudes of w.
func (s *Sum) Add(w []float32) {
	for _, x := range w {
		number := math.Float32bits(x) &^ (1 << 31)
		exponent := number >> 23
		s.significands[exponent] += uint64(number&(1<<23-1) | min(exponent, 1)<<23) // denormals have no leading 1
	}
}

// AddTotal adds the total of the magnitudes of n weights, at most 2²⁰, that float64 additions made in any order. The least
// magnitude that is not 0 and the largest one, by their bits, say whether one of these additions can have rounded: then
// AddTotal adds nothing and reports false.
func (s *Sum) AddTotal(total float64, n int, least, most uint32) bool {
	if most == 0 {
		return true
	}
	// Every partial sum is a whole number of units, 2^(unit−150), below n·2^(most's exponent−126); float64 has all up to 2⁵³.
	unit, top := max(least>>23, 1), max(most>>23, 1)
	if int(top-unit)+24+bits.Len(uint(n-1)) > 53 || unit+48 > 254 {
		return false
	}
	units := uint64(math.Ldexp(total, 150-int(unit)))
	for part := unit; units > 0; part += 24 {
		s.significands[part] += units & (1<<24 - 1)
		units >>= 24
	}
	return true
}

// Merge adds another sum.
func (s *Sum) Merge(other *Sum) {
	for e, n := range other.significands {
		s.significands[e] += n
	}
}

// Finite reports whether no weight is infinite or NaN.
func (s *Sum) Finite() bool { return s.significands[255] == 0 }

// Gamma is max(mean, MinGamma) of the n weights added, the mean rounded to the nearest float32, ties to even; NaN if one
// was not finite.
func (s *Sum) Gamma(n int) float32 {
	if !s.Finite() {
		return float32(math.NaN())
	}
	// The sum in units of 2⁻¹⁴⁹, that of denormals, exponent 0, and of exponent 1: below 2⁶⁴⁺²⁵³.
	var total [6]uint64
	for e, significands := range s.significands {
		if significands == 0 {
			continue
		}
		shift := uint(max(e, 1) - 1)
		at, carry := shift/64, uint64(0)
		total[at], carry = bits.Add64(total[at], significands<<(shift%64), 0)
		high := significands >> 1 >> (63 - shift%64) // a shift by 64 is 0
		for at++; at < uint(len(total)); at++ {
			total[at], carry = bits.Add64(total[at], high, carry)
			high = 0
		}
	}
	rest, top := uint64(0), -1 // what the division leaves, and the quotient's highest bit
	for i := len(total) - 1; i >= 0; i-- {
		total[i], rest = bits.Div64(rest, total[i], uint64(max(n, 1)))
		if top < 0 && total[i] > 0 {
			top = 64*i + bits.Len64(total[i]) - 1
		}
	}
	const mantissa = 24 // bits of a float32
	if top < mantissa {
		return MinGamma // such a mean is far below it
	}
	low := top - mantissa + 1 // the lowest bit that stays
	bit := func(i int) uint64 { return total[i/64] >> (i % 64) & 1 }
	kept, below := uint64(0), rest > 0
	for i := top; i >= low; i-- {
		kept = kept<<1 | bit(i)
	}
	for i := range low - 1 {
		below = below || bit(i) > 0
	}
	if bit(low-1) == 1 && (below || kept&1 == 1) {
		kept++
	}
	return max(float32(math.Ldexp(float64(kept), low-149)), MinGamma)
}
