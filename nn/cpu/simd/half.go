package simd

// Float16s sets dst = src in float16, rounded to the nearest, halves to even. Numbers that are
// too large become infinite.
func Float16s(dst []uint16, src []float32) {
	checkSame("Float16s", len(dst), len(src))
	active.Load().narrow(dst, src)
}

// Float32s sets dst = src for src in float16.
func Float32s(dst []float32, src []uint16) {
	checkSame("Float32s", len(dst), len(src))
	active.Load().widen(dst, src)
}
