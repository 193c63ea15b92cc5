package ggml

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// half decodes the float16 at the start of b.
func half(b []byte) float32 { return float16.Frombits(binary.LittleEndian.Uint16(b)).Float32() }

func f32(dst []float32, b []byte) { dst[0] = math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func f16(dst []float32, b []byte) { dst[0] = half(b) }

func bf16(dst []float32, b []byte) {
	dst[0] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
}

// stepped describes blocks of whole numbers with scales: a weight is d·factor·(number − centre) − dmin·minimum.
type stepped struct {
	centre int
	group  int  // weights that share a factor
	signed bool // numbers and factors are int8
	// numbers writes the numbers of a block, one per byte.
	numbers func(dst, b []byte)
	// steps returns the scales of a block. Without factors there is only d, and group is the size of the block.
	steps func(b []byte) Steps
}

// Steps are the scales of a block: float16 bits, and integer factors of them for groups of neighbouring numbers.
type Steps struct {
	D, DMin         uint16
	Factors, Minima [16]byte // Q6_K: int8; Q4_K: the first 8; others: unused
}

func (s *stepped) floats(dst []float32, b []byte) {
	var numbers [256]byte
	s.numbers(numbers[:], b)
	steps := s.steps(b)
	d, dmin := float16.Frombits(steps.D).Float32(), float16.Frombits(steps.DMin).Float32()
	for i := range dst {
		q, g := int(numbers[i]), i/s.group
		factor := int(steps.Factors[g])
		if s.signed {
			q, factor = int(int8(q)), int(int8(factor))
		}
		// The conversion prevents fusing the product with the subtraction, so that every machine gets the same result.
		dst[i] = float32(d*float32(factor)*float32(q-s.centre)) - dmin*float32(steps.Minima[g])
	}
}

// alone returns the steps of a block that begins with d.
func alone(b []byte) Steps {
	s := Steps{D: binary.LittleEndian.Uint16(b)}
	s.Factors[0] = 1
	return s
}

func q8_0(dst, b []byte) { copy(dst, b[2:34]) }

// q4_0: the low nibbles are the first half.
func q4_0(dst, b []byte) { nibbles(dst, b[2:18]) }

// nibbles writes the lower nibbles of all bytes, then the upper ones.
func nibbles(dst, b []byte) {
	low, high := dst[:len(b)], dst[len(b):2*len(b)]
	for i, q := range b {
		low[i], high[i] = q&15, q>>4
	}
}

// q4_k: 128 bytes of nibbles. Each 32 bytes hold 32 weights in the low nibbles and the next 32 in the high ones.
func q4_k(dst, b []byte) {
	for at := 0; at < 128; at += 32 {
		nibbles(dst[2*at:], b[16+at:48+at])
	}
}

// q4_kSteps: two float16, then 8 factors and 8 minima of 6 bits in 12 bytes.
func q4_kSteps(b []byte) Steps {
	s := Steps{D: binary.LittleEndian.Uint16(b), DMin: binary.LittleEndian.Uint16(b[2:])}
	packed := b[4:16]
	for j := range 4 {
		s.Factors[j], s.Minima[j] = packed[j]&63, packed[j+4]&63
		s.Factors[j+4] = packed[j+8]&15 | packed[j]>>6<<4
		s.Minima[j+4] = packed[j+8]>>4 | packed[j+4]>>6<<4
	}
	return s
}

// q6_k: 128 bytes with the lower 4 bits, 64 with the upper 2. In each half of 128 weights, the upper bits of weight 32k+i are
// at bit 2k of byte i, and the lower ones in byte 32(k mod 2)+i, in the high nibble for k ≥ 2.
func q6_k(dst, b []byte) {
	for h := range 2 {
		low, high := b[64*h:64*h+64], b[128+32*h:128+32*h+32]
		to := dst[128*h : 128*h+128]
		for i, x := range high {
			to[i] = low[i]&15 | x&3<<4
			to[32+i] = low[32+i]&15 | x>>2&3<<4
			to[64+i] = low[i]>>4 | x>>4&3<<4
			to[96+i] = low[32+i]>>4 | x>>6<<4
		}
	}
}

// q6_kSteps: 16 int8 factors and a float16.
func q6_kSteps(b []byte) Steps {
	s := Steps{D: binary.LittleEndian.Uint16(b[208:])}
	copy(s.Factors[:], b[192:208])
	return s
}
