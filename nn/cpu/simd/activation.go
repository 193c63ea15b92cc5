package simd

// The exponential in the functions of this file and of softmax.go has a relative
// error below 2⁻²², two units in the last place, for arguments from −87.3 to 88.3.
// Below that it is 0, and above it is exp(88.3), so that finite arguments never
// give Inf or NaN.

// Sigmoid sets dst = σ(x) = 1/(1+exp(−x)). dst may be x.
func Sigmoid(dst, x []float32) {
	checkSame("Sigmoid", len(dst), len(x))
	active.Load().sigmoid(dst, x)
}

// Silu sets dst = x·σ(x). dst may be x.
func Silu(dst, x []float32) {
	checkSame("Silu", len(dst), len(x))
	active.Load().silu(dst, x)
}

// SiluBackward sets dx = dy·silu′(x), silu′(x) = σ(x)·(1 + x·(1−σ(x))). dx may be
// dy or x.
func SiluBackward(dx, dy, x []float32) {
	checkSame("SiluBackward", len(dx), len(dy), len(x))
	active.Load().siluBackward(dx, dy, x)
}

// SiluMul sets dst = silu(gate) ⊙ up, the middle of a SwiGLU layer. dst may be gate
// or up.
func SiluMul(dst, gate, up []float32) {
	checkSame("SiluMul", len(dst), len(gate), len(up))
	active.Load().siluMul(dst, gate, up)
}

// SiluMulBackward sets dgate = dact ⊙ up ⊙ silu′(gate) and dup = dact ⊙ silu(gate).
// Each of dgate and dup may be any one of the inputs.
func SiluMulBackward(dgate, dup, dact, gate, up []float32) {
	checkSame("SiluMulBackward", len(dgate), len(dup), len(dact), len(gate), len(up))
	active.Load().siluMulBackward(dgate, dup, dact, gate, up)
}
