package ggml

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// half is the float16 at the beginning of b.
func half(b []byte) float32 { return float16.Frombits(binary.LittleEndian.Uint16(b)).Float32() }

func f32(dst []float32, b []byte) { dst[0] = math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func f16(dst []float32, b []byte) { dst[0] = half(b) }

func bf16(dst []float32, b []byte) {
	dst[0] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
}

func q8_0(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:] {
		dst[i] = float32(int8(q)) * d
	}
}

// q4_0: the low nibbles are the first half.
func q4_0(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:] {
		dst[i] = float32(int(q&15)-8) * d
		dst[i+16] = float32(int(q>>4)-8) * d
	}
}

// q4_k: two float16, d and the minimum's; 8 scales and 8 minima of 6 bits in 12 bytes; 128 bytes of nibbles, of which 32
// hold 32 weights in the low ones and the next 32 in the high ones. Weight = d·scale·q − dmin·minimum.
func q4_k(dst []float32, b []byte) {
	d, dmin := half(b), half(b[2:])
	packed, q := b[4:16], b[16:]
	for j := range 8 {
		var scale, minimum uint8
		if j < 4 {
			scale, minimum = packed[j]&63, packed[j+4]&63
		} else {
			scale = packed[j+4]&15 | packed[j-4]>>6<<4
			minimum = packed[j+4]>>4 | packed[j]>>6<<4
		}
		ds, dm := d*float32(scale), dmin*float32(minimum)
		for i, x := range q[j/2*32 : j/2*32+32] {
			// The conversion keeps the product from being fused with the difference, so that every machine gives the same.
			dst[32*j+i] = float32(ds*float32(x>>(4*(j%2))&15)) - dm
		}
	}
}

// q6_k: 128 bytes with the lower 4 bits, 64 with the upper 2, 16 int8 scales, a float16. In each half of 128 weights,
// weight 32k+i has its upper bits at 2k of byte i, and its lower ones in byte 32(k mod 2)+i, those of k ≥ 2 in the high
// nibble. Weight = d·scale·(q − 32).
func q6_k(dst []float32, b []byte) {
	scales, d := b[192:208], half(b[208:])
	for h := range 2 {
		low, high := b[64*h:64*h+64], b[128+32*h:128+32*h+32]
		for k := range 4 {
			for i := range 32 {
				q := low[32*(k%2)+i]>>(4*(k/2))&15 | high[i]>>(2*k)&3<<4
				dst[128*h+32*k+i] = d * float32(int8(scales[8*h+2*k+i/16])) * float32(int(q)-32)
			}
		}
	}
}
