package main

import "bitgpu/nn/cpu/simd"

// work is a call of a kernel.
type work struct {
	name     string
	elements int  // multiply-adds, or elements
	bytes    bool // products of bytes, for which there are dot-product instructions
	prepare  func() func()
}

const (
	rows, cols = 32, 256
	tall       = 256 // rows, where tables are made for all of them
	length     = 1024
)

var works = []work{
	{"float32 product with a vector", rows * cols, false, func() func() {
		return func() { simd.MatVec(room(rows), numbers(rows*cols), numbers(cols), rows, cols) }
	}},
	{"float16 product with a vector", rows * cols, false, func() func() {
		h := halves(numbers(rows * cols))
		return func() { simd.MatVecF16(room(rows), h, numbers(cols), rows, cols) }
	}},
	{"int8 product with a vector", rows * cols, false, func() func() {
		return func() { simd.MatVecI8(room(rows), signs(rows*cols), numbers(rows), numbers(cols), rows, cols) }
	}},
	{"ternary product with a vector", rows * cols, false, func() func() {
		return func() { simd.TernaryMatVec(room(rows), codes(rows*cols), numbers(cols), rows, cols) }
	}},
	{"ternary product with four vectors", 4 * rows * cols, false, func() func() {
		return func() { simd.TernaryMatMul(room(4*rows), codes(rows*cols), numbers(4*cols), rows, cols, 4) }
	}},
	{"ternary product, groups of 128", tall * cols, false, func() func() { return grouped(1) }},
	{"the same, looked up", tall * cols, false, func() func() { return lookedUp(1) }},
	{"the same looked up, with eight vectors", 8 * tall * cols, false, func() func() { return lookedUp(8) }},
	{"ternary product, groups of 128, int8 vector", rows * cols, true, func() func() { return groupedInt8(1) }},
	{"the same with four vectors", 4 * rows * cols, true, func() func() { return groupedInt8(4) }},
	{"Gemm, 48 × 48 × 256", 48 * 48 * 256, false, func() func() {
		return func() {
			simd.Gemm(48, 48, 256, 1, numbers(48*256), 256, false, numbers(48*256), 256, true, 0, room(48*48), 48)
		}
	}},
	{"Softmax", length, false, func() func() { return func() { simd.Softmax(room(length), numbers(length)) } }},
	{"SiluMul", length, false, func() func() { return func() { simd.SiluMul(room(length), numbers(length), numbers(length)) } }},
	{"RMSNorm", length, false, func() func() {
		return func() { simd.RMSNorm(room(length), numbers(length), numbers(length), 1e-5) }
	}},
	{"AdamW", length, false, func() func() {
		return func() {
			simd.AdamW(room(length), numbers(length), numbers(length), numbers(length), 1e-3, 0.9, 0.99, 1e-8, 0.1, 1, 1, 1)
		}
	}},
	{"TernaryQuantize", rows * cols, false, func() func() {
		return func() { simd.TernaryQuantize(codes(rows*cols), numbers(rows*cols), rows, cols, 0.3) }
	}},
	{"QuantizeI8", length, false, func() func() { return func() { simd.QuantizeI8(signs(length), numbers(length)) } }},
}

func grouped(n int) func() {
	scales := halves(numbers(tall * cols / 128))
	return func() {
		simd.TernaryGroupMatMul(room(n*tall), codes(tall*cols), scales, 128, numbers(n*cols), tall, cols, n)
	}
}

// lookedUp is the product without looking up.
func lookedUp(n int) func() {
	scales := halves(numbers(tall * cols / 128))
	m := simd.Interleave(codes(tall*cols), scales, 128, tall, cols, false, false)
	if m == nil {
		return grouped(n)
	}
	return func() { m.MatMul(room(n*tall), numbers(n*cols), n) }
}

func groupedInt8(n int) func() {
	scales := halves(numbers(rows * cols / 128))
	return func() {
		simd.TernaryGroupMatMulI8(room(n*rows), codes(rows*cols), scales, 128, signs(n*cols), numbers(n), rows, cols, n)
	}
}

var (
	floats  = make([]float32, 1<<14)
	results = make([]float32, 1<<14)
	packed  = make([]byte, 1<<14)
	signed  = make([]int8, 1<<14)
)

func init() {
	for i := range floats {
		floats[i] = float32(i&31)/32 + 0.01
	}
	for i := range packed {
		packed[i] = byte(i*7) & 0b01_01_01_01
	}
	for i := range signed {
		signed[i] = int8(i)
	}
}

func numbers(n int) []float32 { return floats[:n] }
func room(n int) []float32    { return results[:n] }
func codes(n int) []byte      { return packed[:n/4] }
func signs(n int) []int8      { return signed[:n] }

func halves(x []float32) []uint16 {
	h := make([]uint16, len(x))
	simd.Float16s(h, x)
	return h
}
