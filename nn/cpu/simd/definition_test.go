package simd

import (
	"fmt"
	"math"
	"testing"

	"github.com/x448/float16"
)

// definition has the products with rows by their definitions, an element at a time.
var definition = struct {
	float      rowKernels[float32]
	half       rowKernels[uint16]
	bfloat     rowKernels[uint16]
	int8       rowKernels[int8]
	ternary    rowKernels[byte]
	group      groupKernels
	codes      codesKernels
	groupCodes codesKernels
}{
	float:      scalarRows(func(w []float32, i int) float32 { return w[i] }, func(cols int) int { return cols }),
	half:       scalarRows(func(w []uint16, i int) float32 { return half(w[i]) }, func(cols int) int { return cols }),
	bfloat:     scalarRows(func(w []uint16, i int) float32 { return bfloat(w[i]) }, func(cols int) int { return cols }),
	int8:       scalarRows(func(w []int8, i int) float32 { return float32(w[i]) }, func(cols int) int { return cols }),
	ternary:    scalarRows(ternaryWeight, ternaryStride),
	group:      groupKernels{one: groupOneScalar, four: groupFour(groupOneScalar)},
	codes:      codesFour(codesOneScalar),
	groupCodes: codesFour(groupCodesOneScalar),
}

// scalarRows makes the products with rows of a matrix from a function that returns
// element i of a row.
func scalarRows[W any](element func(row []W, i int) float32, stride func(cols int) int) rowKernels[W] {
	return fourOnes(func(y []float32, w []W, x []float32, cols int) {
		for r := range y {
			var sum float32
			for i, v := range x {
				sum += element(w[r*stride(cols):], i) * v
			}
			y[r] = sum
		}
	})
}

// codesSum is the sum of some units of a packed vector with a row of codes.
func codesSum(row []byte, q []int8, units int) (sum int32) {
	for i, v := range q[:units*unitLength] {
		code, byteOf := i%unitLength/unitBytes, i/unitLength*unitBytes+i%unitBytes
		sum += int32(v) * (int32(row[byteOf]>>(2*code)&3) - 1)
	}
	return sum
}

func codesOneScalar(y []float32, codes []byte, stride int, _ []float32, q []int8, units, per, chunks int, divisor float32) {
	for r := range y {
		var sum int32
		for c := range chunks {
			sum += codesSum(codes[r*stride+c*per*unitBytes:], q[c*(per+1)*unitLength+unitLength:], min(per, units-c*per))
		}
		y[r] = float32(sum) / divisor
	}
}

func groupCodesOneScalar(y []float32, codes []byte, stride int, scales []float32, q []int8, units, per, chunks int, divisor float32) {
	for r := range y {
		var sum float32
		for c := range chunks {
			part := codesSum(codes[r*stride+c*per*unitBytes:], q[c*(per+1)*unitLength+unitLength:], per)
			sum += scales[r*chunks+c] * float32(part)
		}
		y[r] = sum / divisor
	}
}

func groupOneScalar(y []float32, codes []byte, scales, x []float32, groups, group int) {
	for r := range y {
		row := codes[r*ternaryStride(groups*group):]
		var sum float32
		for i := range groups {
			var part float32
			for c := i * group; c < (i+1)*group; c++ {
				part += ternaryWeight(row, c) * x[c]
			}
			sum += scales[r*groups+i] * part
		}
		y[r] = sum
	}
}

// The products of the portable level agree with their definitions: exactly for whole numbers, and closely for others, including
// vectors longer than a table, rows that end within a byte, and numbers that are not finite.
func TestPortableAgainstDefinition(t *testing.T) {
	for _, cols := range append(sizes[1:], 255, 256, 257, 520) {
		const rows = 5
		m := randomMatrix(rows, cols)
		whole, floats := integers(4*cols, 1000, 7), random(4*cols, 8)
		infinite := append([]float32(nil), floats...)
		infinite[cols-1] = float32(math.Inf(1))
		for name, x := range map[string][]float32{"integers": whole, "floats": floats, "an infinity": infinite} {
			what := fmt.Sprintf("%s of %d columns", name, cols)
			comparePortable(t, what+", float", m.float, x, cols, portable.float, definition.float)
			comparePortable(t, what+", half", m.half, x, cols, portable.half, definition.half)
			comparePortable(t, what+", bfloat16", m.bfloat, x, cols, portable.bfloat, definition.bfloat)
			comparePortable(t, what+", int8", m.int8, x, cols, portable.int8, definition.int8)
			comparePortable(t, what+", ternary", m.codes, x, cols, portable.ternary, definition.ternary)
		}
	}
}

// comparePortable allows for the rounding of sums, with weights of at most 128.
func comparePortable[W any](t *testing.T, what string, w []W, x []float32, cols int, fast, slow rowKernels[W]) {
	t.Helper()
	const rows = 5
	got, want, alone := make([]float32, 4*rows), make([]float32, 4*rows), make([]float32, rows)
	fast.four(got, w, x, rows, cols, rows)
	slow.four(want, w, x, rows, cols, rows)
	var size float64
	for _, v := range x {
		if v-v == 0 {
			size += math.Abs(float64(v))
		}
	}
	for i, v := range want {
		g := float64(got[i])
		if finite := func(x float64) bool { return x-x == 0 }; finite(float64(v)) != finite(g) || finite(g) && math.Abs(g-float64(v)) > 1e-6*128*size {
			t.Fatalf("%s: got %v, want %v", what, g, v)
		}
	}
	fast.one(alone, w, x[:cols], cols)
	for i, v := range alone {
		if math.Float32bits(v) != math.Float32bits(got[i]) {
			t.Fatalf("%s: got %v alone, want %v as of four", what, v, got[i])
		}
	}
}

// The same for products with groups and with int8 vectors, whose sums are exact except for the scales.
func TestPortableGroupsAgainstDefinition(t *testing.T) {
	const rows = 3
	for _, shape := range [][2]int{{1, 32}, {3, 32}, {2, 128}, {1, 256}, {2, 288}, {1, 1024}} {
		groups, group := shape[0], shape[1]
		cols := groups * group
		m := randomMatrix(rows, cols)
		scales, x := random(rows*groups, 3), random(cols, 4)
		got, want := make([]float32, rows), make([]float32, rows)
		portable.group.one(got, m.codes, scales, x, groups, group)
		definition.group.one(want, m.codes, scales, x, groups, group)
		near(t, fmt.Sprintf("%d groups of %d", groups, group), got, want, 1e-4, 1e-5)

		units, per := cols/unitLength, group/unitLength
		q, packed := make([]int8, cols), make([]int8, (units+groups)*unitLength)
		QuantizeI8(q, x)
		portable.packInt8(&packed[0], &q[0], groups, per)
		for i, codes := range m.codes { // without the code 3, which no writer produces and the definition takes for +2
			m.codes[i] = codes &^ (codes >> 1 & 0b01_01_01_01)
		}
		portable.codes.one(got, m.codes, cols/4, nil, packed, units, per, groups, 3)
		definition.codes.one(want, m.codes, cols/4, nil, packed, units, per, groups, 3)
		near(t, fmt.Sprintf("int8, %d chunks of %d", groups, group), got, want, 0, 0)
		portable.groupCodes.one(got, m.codes, cols/4, scales, packed, units, per, groups, 3)
		definition.groupCodes.one(want, m.codes, cols/4, scales, packed, units, per, groups, 3)
		near(t, fmt.Sprintf("int8, %d groups of %d", groups, group), got, want, 1e-3, 1e-5)
	}
}

// Every float16 has the value that the library gives it.
func TestHalf(t *testing.T) {
	for bits := range 1 << 16 {
		got, want := half(uint16(bits)), float16.Frombits(uint16(bits)).Float32()
		if math.Float32bits(got) != math.Float32bits(want) && !(got != got && want != want) {
			t.Fatalf("%#04x: got %v, want %v", bits, got, want)
		}
	}
}

// BenchmarkPortable sets the portable products beside their definitions, to be compared within one run:
// go test -run '^$' -bench Portable ./nn/cpu/simd, also for js/wasm with -exec of Go's lib/wasm/go_js_wasm_exec.
func BenchmarkPortable(b *testing.B) {
	const rows, cols = 1024, 1024
	m := randomMatrix(rows, cols)
	x, y := random(cols, 1), make([]float32, rows)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"ternary/definition", func() { definition.ternary.one(y, m.codes, x, cols) }},
		{"ternary/table", func() { portable.ternary.one(y, m.codes, x, cols) }},
		{"ternary/256 definition", func() { definition.ternary.one(y[:256], m.codes, x, cols) }},
		{"ternary/256 table", func() { portable.ternary.one(y[:256], m.codes, x, cols) }},
		{"half/definition", func() { definition.half.one(y, m.half, x, cols) }},
		{"half/portable", func() { portable.half.one(y, m.half, x, cols) }},
		{"float/definition", func() { definition.float.one(y, m.float, x, cols) }},
		{"float/portable", func() { portable.float.one(y, m.float, x, cols) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.run()
			}
		})
	}
}
