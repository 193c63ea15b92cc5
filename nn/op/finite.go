package op

import "math"

// NotFinite is what Sample writes to Out in place of a token where a logit is NaN or infinite.
const NotFinite uint32 = math.MaxUint32

// FirstNotFinite is the place of the first NaN or infinity, -1 where there is none.
func FirstNotFinite(v []float32) int {
	const exponent = 0xff << 23 // all its bits are set in these alone
	for i, x := range v {
		if math.Float32bits(x)&exponent == exponent {
			return i
		}
	}
	return -1
}
