package ternary

import (
	"math"
	"math/big"
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
		bits := math.Float32bits(x) &^ (1 << 31)
		exponent := bits >> 23
		s.significands[exponent] += uint64(bits&(1<<23-1) | min(exponent, 1)<<23) // denormals have no leading 1
	}
}

// Merge adds another sum.
func (s *Sum) Merge(other *Sum) {
	for e, n := range other.significands {
		s.significands[e] += n
	}
}

// Finite says whether no weight is infinite or NaN.
func (s *Sum) Finite() bool { return s.significands[255] == 0 }

// Gamma is max(mean, MinGamma) of the n weights added, the mean rounded to the nearest float32, ties to even; NaN if one
// was not finite.
func (s *Sum) Gamma(n int) float32 {
	if !s.Finite() {
		return float32(math.NaN())
	}
	const units = 149 // 2⁻¹⁴⁹ is the unit of denormals, exponent 0, and of exponent 1
	var total, term big.Int
	for e, significands := range s.significands {
		if significands > 0 {
			total.Add(&total, term.Lsh(term.SetUint64(significands), uint(max(e, 1)-1)))
		}
	}
	count := big.NewInt(int64(max(n, 1)))
	mean, _ := new(big.Rat).SetFrac(&total, count.Lsh(count, units)).Float32()
	return max(mean, MinGamma)
}
