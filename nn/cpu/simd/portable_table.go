package simd

import "encoding/binary"

// codeTableBytes is how many bytes of codes a table serves: its 8 KB stay in a core's nearest cache.
const codeTableBytes = 64

// codeTable has, for each of some bytes of codes, the possible sums of elements for its lower two codes, then those for its upper
// two: the product of a row takes two lookups for four weights, and one table serves all rows.
type codeTable[T float32 | int32] [codeTableBytes][32]T

// set fills the table of byte i for the four elements that its codes multiply. If an element is not finite, no sum is, whatever
// the weights.
func (t *codeTable[T]) set(i int, x0, x1, x2, x3 T) {
	entry := &t[i]
	for half, pair := range [2][2]T{{x0, x1}, {x2, x3}} {
		zero := pair[0]*0 + pair[1]*0
		lower, upper := [4]T{zero - pair[0], zero, zero + pair[0], zero}, [4]T{zero - pair[1], zero, zero + pair[1], zero}
		for code := range 16 {
			entry[16*half+code] = lower[code&3] + upper[code>>2]
		}
	}
}

// fill makes the tables for the bytes of codes that a vector is multiplied by. Missing elements of the last one count as 0.
func (t *codeTable[T]) fill(x []T) {
	i := 0
	for ; len(x) >= 4; x = x[4:] {
		t.set(i, x[0], x[1], x[2], x[3])
		i++
	}
	if len(x) > 0 {
		var rest [4]T
		copy(rest[:], x)
		t.set(i, rest[0], rest[1], rest[2], rest[3])
	}
}

// sum returns the product of a row's codes with the vector of the table.
func (t *codeTable[T]) sum(row []byte) T {
	var even, odd T
	var i uint
	for ; len(row) >= 4; row = row[4:] {
		codes := binary.LittleEndian.Uint32(row)
		t0, t1, t2, t3 := &t[i%codeTableBytes], &t[(i+1)%codeTableBytes], &t[(i+2)%codeTableBytes], &t[(i+3)%codeTableBytes]
		even += t0[codes&15] + t0[16+codes>>4&15]
		odd += t1[codes>>8&15] + t1[16+codes>>12&15]
		even += t2[codes>>16&15] + t2[16+codes>>20&15]
		odd += t3[codes>>24&15] + t3[16+codes>>28]
		i += 4
	}
	for _, codes := range row {
		entry := &t[i%codeTableBytes]
		even += entry[codes&15] + entry[16+codes>>4]
		i++
	}
	return even + odd
}

// ternaryOneTable is the ternary product with one vector.
func ternaryOneTable(y []float32, codes []byte, x []float32, cols int) {
	var t codeTable[float32]
	stride := ternaryStride(cols)
	for from := 0; from < stride; from += codeTableBytes {
		n := min(codeTableBytes, stride-from)
		t.fill(x[4*from : min(4*(from+n), cols)])
		for r := range y {
			sum := t.sum(codes[r*stride+from:][:n])
			if from > 0 {
				sum += y[r]
			}
			y[r] = sum
		}
	}
}

// groupOneTable is the one for groups of columns with scales. A group above 4·codeTableBytes is summed in parts, each times the
// scale.
func groupOneTable(y []float32, codes []byte, scales, x []float32, groups, group int) {
	var t codeTable[float32]
	clear(y)
	stride := ternaryStride(groups * group)
	for g := range groups {
		for from := g * group; from < (g+1)*group; from += 4 * codeTableBytes {
			to := min(from+4*codeTableBytes, (g+1)*group)
			t.fill(x[from:to])
			for r := range y {
				y[r] += scales[r*groups+g] * t.sum(codes[r*stride+from/4:][:(to-from)/4])
			}
		}
	}
}

// fillPacked is fill for units of a packed vector, in which the elements of one byte lie unitBytes apart.
func fillPacked(t *codeTable[int32], q []int8, units int) {
	for i := range units * unitBytes {
		at := q[i/unitBytes*unitLength+i%unitBytes:]
		t.set(i, int32(at[0]), int32(at[unitBytes]), int32(at[2*unitBytes]), int32(at[3*unitBytes]))
	}
}

// tableUnits is how many units a table serves.
const tableUnits = codeTableBytes / unitBytes

// codesOneTable sums the parts of a row in float32, which is exact below 2¹⁷ columns.
func codesOneTable(y []float32, codes []byte, stride int, _ []float32, q []int8, units, per, chunks int, divisor float32) {
	codesTable(y, codes, stride, q, units, per, chunks, func(_, _ int) float32 { return 1 })
	divide(y, divisor)
}

func groupCodesOneTable(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisor float32) {
	codesTable(y, codes, stride, q, units, per, chunks, func(r, c int) float32 { return scales[r*chunks+c] })
	divide(y, divisor)
}

func divide(y []float32, divisor float32) {
	for r := range y {
		y[r] /= divisor
	}
}

// codesTable sums a row's chunks, each times its scale; a chunk above tableUnits in parts.
func codesTable(y []float32, codes []byte, stride int, q []int8, units, per, chunks int, scale func(r, c int) float32) {
	var t codeTable[int32]
	clear(y)
	for c := range chunks {
		last := min(per, units-c*per)
		for from := 0; from < last; from += tableUnits {
			n := min(tableUnits, last-from)
			fillPacked(&t, q[(c*(per+1)+1+from)*unitLength:], n)
			for r := range y {
				y[r] += scale(r, c) * float32(t.sum(codes[r*stride+(c*per+from)*unitBytes:][:n*unitBytes]))
			}
		}
	}
}
