package op

import "math"

// NotFinite is what Sample writes to Out instead of a token when a logit is NaN or infinite.
const NotFinite uint32 = math.MaxUint32

// FirstNotFinite returns the index of the first NaN or infinity, or -1.
func FirstNotFinite(v []float32) int {
	const exponent = 0xff << 23 // only NaN and infinities have all of these bits set
	for i, x := range v {
		if math.Float32bits(x)&exponent == exponent {
			return i
		}
	}
	return -1
}
