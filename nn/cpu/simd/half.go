package simd

// DotF16 is Σ xᵢ·yᵢ for y in float16.
func DotF16(x []float32, y []uint16) float32 {
	checkSame("DotF16", len(x), len(y))
	return active.Load().dotHalf(x, y)
}

// AxpyF16 adds alpha·x to y for x in float16.
func AxpyF16(alpha float32, x []uint16, y []float32) {
	checkSame("AxpyF16", len(x), len(y))
	active.Load().axpyHalf(alpha, x, y)
}

// Float16s sets dst = src in float16, rounded to the nearest, halves to even; what is too
// large becomes an infinity.
func Float16s(dst []uint16, src []float32) {
	checkSame("Float16s", len(dst), len(src))
	active.Load().narrow(dst, src)
}

// Float32s sets dst = src for src in float16.
func Float32s(dst []float32, src []uint16) {
	checkSame("Float32s", len(dst), len(src))
	active.Load().widen(dst, src)
}
