package simd

import (
	"math"
	"slices"
	"testing"
)

// interleavedOf is a matrix as the best level of the machine has it; the test is skipped where none looks up.
func interleavedOf(t testing.TB, m *grouped) *Interleaved {
	t.Helper()
	setLevel(t, Levels()[len(Levels())-1])
	for _, k := range levels {
		if k.lookup != nil {
			setLevel(t, k.level)
			return Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false)
		}
	}
	t.Skipf("untested: no level of this machine looks up, it has %v", Levels())
	return nil
}

// interleavedShapes are matrices whose rows fill blocks of 128, and do not.
func interleavedShapes(test func(m *grouped)) {
	allRows, allGroups := []int{32, 64, 128, 160, 224}, []int{1, 2, 5, 9}
	if testing.Short() {
		allRows, allGroups = []int{32, 160}, []int{1, 5}
	}
	for _, group := range groupLengths {
		for _, rows := range allRows {
			for _, groups := range allGroups {
				m := randomGrouped(rows, groups*group, group)
				test(&m)
			}
		}
	}
}

func TestInterleavedIsTheMatrix(t *testing.T) {
	interleavedShapes(func(m *grouped) {
		i := interleavedOf(t, m)
		codes, scales := make([]byte, len(m.codes)), make([]uint16, len(m.scales))
		i.Packed(codes, scales, 0, m.rows)
		if !slices.Equal(codes, m.codes) || !slices.Equal(scales, m.scales) {
			t.Fatalf("%d×%d, groups of %d: other codes or scales came back", m.rows, m.cols, m.group)
		}
		own := Interleave(slices.Clone(m.codes), m.scales, m.group, m.rows, m.cols, true) // where they are
		if !slices.Equal(own.codes, i.codes) || !slices.Equal(own.scales, i.scales) {
			t.Fatalf("%d×%d, groups of %d: another matrix where the codes are spare", m.rows, m.cols, m.group)
		}
		row := make([]float32, m.cols)
		for r := range m.rows {
			i.Row(row, r)
			for c, w := range row {
				if float64(w) != m.weight(r, c) {
					t.Fatalf("%d×%d, groups of %d: weight %d of row %d is %v, want %v", m.rows, m.cols, m.group, c, r, w, m.weight(r, c))
				}
			}
		}
	})
}

// TestInterleavedMatMul holds products of all levels against float64; other levels than the one that looks up put the
// rows together again.
func TestInterleavedMatMul(t *testing.T) {
	interleavedShapes(func(m *grouped) {
		i := interleavedOf(t, m)
		for _, l := range Levels() {
			setLevel(t, l)
			for _, n := range []int{0, 1, 2, 5, lookupVectors + 1} {
				if n > 2 && m.rows > 32 && m.cols > 600 {
					continue // takes long, and is nothing new
				}
				x, y := random(n*m.cols, 5), newGuarded(random(n*m.rows, 6))
				i.MatMul(y.inside, x, n)
				y.check(t, "Interleaved.MatMul")
				m.check(t, "Interleaved.MatMul", y.inside, x, n)
			}
		}
	})
}

// TestInterleavedMatMulOfIntegersIsExact: whole numbers, and others that are as many halvings of them, are not rounded.
func TestInterleavedMatMulOfIntegersIsExact(t *testing.T) {
	for _, unit := range []float64{1, 0x1p-90, 0x1p100} {
		m := randomGrouped(160, 6*96, 96)
		for i := range m.scales {
			m.scales[i] = []uint16{0x3c00, 0x0000, 0x8000, 0xbc00, 0x4400}[i%5]
		}
		const n = 5
		x := integers(n*m.cols, 100, 7)
		for i := range x {
			x[i] *= float32(unit)
		}
		got := make([]float32, n*m.rows)
		interleavedOf(t, &m).MatMul(got, x, n)
		for v := range n {
			for r := range m.rows {
				want := 0.0
				for c := range m.cols {
					want += m.weight(r, c) * float64(x[v*m.cols+c])
				}
				if float64(got[v*m.rows+r]) != want {
					t.Fatalf("unit %v: y[%d,%d] is %v, want %v", unit, v, r, got[v*m.rows+r], want)
				}
			}
		}
	}
}

// TestInterleavedMatMulOfTheLargest: an element that fills its bits does not run over into its neighbours.
func TestInterleavedMatMulOfTheLargest(t *testing.T) {
	for _, largest := range []float32{1, 1 - 0x1p-24, math.MaxFloat32 / 1024, 0x1p-100} {
		for code := range byte(3) {
			m := randomGrouped(128, 256, 128)
			m.fill(code)
			for i := range m.scales {
				m.scales[i] = 0x3c00
			}
			x := make([]float32, 2*m.cols)
			for i := range x {
				x[i] = largest
				if i >= m.cols {
					x[i] = -largest
				}
			}
			y := make([]float32, 2*m.rows)
			interleavedOf(t, &m).MatMul(y, x, 2)
			for i, got := range y {
				want := float64(largest) * float64(m.cols) * float64(int(code)-1)
				if i >= m.rows {
					want = -want
				}
				if math.Abs(float64(got)-want) > 0x1p-21*math.Abs(want) {
					t.Fatalf("codes %d of %v: y[%d] is %v, want %v", code, largest, i, got, want)
				}
			}
		}
	}
}

func TestInterleavedMatMulIsOneByOne(t *testing.T) {
	m := randomGrouped(992, 640, 64)
	i := interleavedOf(t, &m)
	const n = 6
	x := random(n*m.cols, 5)
	oneByOne(t, m.rows, n, func(y []float32, from, n int) { i.MatMul(y, x[from*m.cols:(from+n)*m.cols], n) })
}

// TestInterleavedMatMulShowsWhatIsNotFinite: whole numbers have no NaN, the result does.
func TestInterleavedMatMulShowsWhatIsNotFinite(t *testing.T) {
	m := randomGrouped(64, 256, 128)
	i := interleavedOf(t, &m)
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		x, y := random(2*m.cols, 5), make([]float32, 2*m.rows)
		x[m.cols+130] = bad
		i.MatMul(y, x, 2)
		for r, v := range y {
			if finite := !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0); finite != (r < m.rows) {
				t.Fatalf("%v in the second vector: y[%d] is %v", bad, r, v)
			}
		}
	}
}

func TestInterleavedMatMulI8(t *testing.T) {
	m := randomGrouped(320, 512, 128)
	i := interleavedOf(t, &m)
	const n = 3
	q, scales := make([]int8, n*m.cols), make([]float32, n)
	x := random(n*m.cols, 4)
	for v := range n {
		scales[v] = QuantizeI8(q[v*m.cols:(v+1)*m.cols], x[v*m.cols:(v+1)*m.cols])
	}
	got, want := make([]float32, n*m.rows), make([]float32, n*m.rows)
	i.MatMulI8(got, q, scales, n)
	TernaryGroupMatMulI8(want, m.codes, m.scales, m.group, q, scales, m.rows, m.cols, n)
	near(t, "MatMulI8", got, want, 0, 0)
}

func TestInterleavedMatMulDoesNotAllocate(t *testing.T) {
	m := randomGrouped(320, 512, 128)
	i := interleavedOf(t, &m)
	x, y := random(5*512, 1), make([]float32, 5*320)
	noAllocations(t, "Interleaved.MatMul of one vector", func() { i.MatMul(y[:320], x[:512], 1) })
	noAllocations(t, "Interleaved.MatMul", func() { i.MatMul(y, x, 5) })
}

func TestInterleavedRefusesWrongLengths(t *testing.T) {
	m, x, y := randomGrouped(32, 192, 64), make([]float32, 192), make([]float32, 32)
	panics(t, "group 48", func() { Interleave(m.codes, m.scales, 48, 32, 192, false) })
	panics(t, "codes", func() { Interleave(m.codes[1:], m.scales, 64, 32, 192, false) })
	if odd := randomGrouped(33, 192, 64); interleavedOf(t, &odd) != nil {
		t.Error("33 rows were interleaved")
	}
	i := interleavedOf(t, &m)
	panics(t, "x", func() { i.MatMul(y, x[1:], 1) })
	panics(t, "y", func() { i.MatMul(y[1:], x, 1) })
}
