package simd

import "math"

// RMSNorm sets y = x ⊙ gain · rstd for one row and returns rstd = 1/√(mean x² + eps), which is
// NaN, not 0, if the squares exceed float32. y may be x.
func RMSNorm(y, x, gain []float32, eps float32) (rstd float32) {
	checkSame("RMSNorm", len(y), len(x), len(gain))
	if len(x) == 0 {
		return 0
	}
	k := active.Load()
	if rstd = float32(1 / math.Sqrt(float64(k.sumSquares(x))/float64(len(x))+float64(eps))); rstd == 0 {
		rstd = float32(math.NaN())
	}
	k.scaledMul(y, rstd, x, gain)
	return rstd
}

// RMSNormBackward adds the gradients of one row to dx and dgain, given the rstd
// that RMSNorm returned:
//
//	dgain += dy ⊙ x · rstd
//	dx    += dy ⊙ gain · rstd − x · rstd³ · mean(dy ⊙ gain ⊙ x)
func RMSNormBackward(dx, dgain, dy, x, gain []float32, rstd float32) {
	checkSame("RMSNormBackward", len(dx), len(dgain), len(dy), len(x), len(gain))
	if len(x) == 0 {
		return
	}
	k := active.Load()
	pull := rstd * rstd * rstd * k.dot3(dy, gain, x) / float32(len(x))
	k.rmsNormBackward(dx, dgain, dy, x, gain, rstd, pull)
}
