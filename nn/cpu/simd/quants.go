package simd

import "bitgpu/nn/quants"

// quantsRoom holds some weights as numbers, and what these are multiplied by.
type quantsRoom struct {
	numbers        [1024]byte
	scales, minima [1024 / quants.FactorUnit]float32
}

var quantsRooms = newFreeList[quantsRoom]()

// QuantsRow writes the weights of row r of m into dst.
func QuantsRow(dst []float32, m *quants.Matrix, r int) {
	checkSame("QuantsRow", len(dst), m.Cols)
	k, centre, room := active.Load(), float32(m.Kind.Centre()), quantsRooms.get()
	for first := 0; first < m.Cols; first += len(room.numbers) {
		q := room.numbers[:min(len(room.numbers), m.Cols-first)]
		n := len(q) / quants.FactorUnit
		scales, minima := room.scales[:n], room.minima[:n]
		m.Unpack(q, r, first)
		m.Factors(scales, minima, r, first)
		k.dequantize(dst[first:first+len(q)], q, scales, minima, centre)
	}
	quantsRooms.put(room)
}

// dequantizeScalar defines kernels.dequantize.
func dequantizeScalar(dst []float32, q []byte, scales, minima []float32, centre float32) {
	for i, x := range q {
		dst[i] = float32(scales[i/quants.FactorUnit]*(float32(int8(x))-centre)) - minima[i/quants.FactorUnit]
	}
}
