package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"bitgpu/nn/cpu/parallel"
)

// eachInterleaving runs the test at each level of the machine that has an order of its own for matrices, for products with floats or
// with int8. It is skipped if there is none.
func eachInterleaving(t *testing.T, test func(t *testing.T, interleave func(m *grouped) *Interleaved)) {
	t.Helper()
	found := false
	for _, k := range levels {
		forFloats := k.lookup != nil || k.dots != nil && k.dots.three.vectors[0] != nil
		forInt8 := k.dots != nil && k.dots.three.vectors[0] == nil // in an order that floats do not have
		for _, int8 := range []bool{false, true} {
			if !int8 && !forFloats || int8 && !forInt8 {
				continue
			}
			found = true
			name := k.level.String()
			if int8 {
				name += " for int8"
			}
			t.Run(name, func(t *testing.T) {
				test(t, func(m *grouped) *Interleaved {
					setLevel(t, k.level)
					return Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false, int8)
				})
			})
		}
	}
	if !found {
		t.Skipf("untested: no level of this machine interleaves, it has %v", Levels())
	}
}

// interleavedShapes lists matrices whose rows fill blocks of 128, and others.
func interleavedShapes(test func(m *grouped)) {
	allRows, allGroups := []int{32, 47, 64, 128, 160, 225}, []int{1, 2, 5, 9}
	if testing.Short() {
		allRows, allGroups = []int{32, 175}, []int{1, 5}
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
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		interleavedShapes(func(m *grouped) {
			i := interleave(m)
			codes, scales := make([]byte, len(m.codes)), make([]uint16, len(m.scales))
			i.Packed(codes, scales, 0, m.rows)
			if !slices.Equal(codes, m.codes) || !slices.Equal(scales, m.scales) {
				t.Fatalf("%d×%d, groups of %d: other codes or scales came back", m.rows, m.cols, m.group)
			}
			own := Interleave(slices.Clone(m.codes), m.scales, m.group, m.rows, m.cols, true, i.dots) // where they are
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
	})
}

// TestInterleavedMatMul compares the products of all levels with float64. Levels that cannot use the order of a matrix restore its
// rows.
func TestInterleavedMatMul(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		interleavedShapes(func(m *grouped) {
			i := interleave(m)
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
	})
}

// TestInterleavedMatMulOfIntegersIsExact: whole numbers, and whole numbers times a common power of two, are not rounded.
func TestInterleavedMatMulOfIntegersIsExact(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
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
			interleave(&m).MatMul(got, x, n)
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
	})
}

// TestInterleavedMatMulOfTheLargest: an element that fills its bits does not overflow into its neighbours.
func TestInterleavedMatMulOfTheLargest(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
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
				interleave(&m).MatMul(y, x, 2)
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
	})
}

func TestInterleavedMatMulIsOneByOne(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		m := randomGrouped(992, 640, 64)
		i := interleave(&m)
		const n = 6
		x := random(n*m.cols, 5)
		oneByOne(t, m.rows, n, func(y []float32, from, n int) { i.MatMul(y, x[from*m.cols:(from+n)*m.cols], n) })
	})
}

// batches returns the kernels of a level for several vectors at once.
func (k *kernels) batches() []*batchKernels {
	switch {
	case k.dots != nil && len(k.dots.batches) > 0:
		return k.dots.batches
	case k.lookup != nil:
		return k.lookup.batches
	}
	return nil
}

// TestLookupBatch: vectors at once get the bits that they get one by one, in full groups and others, and one that is not finite
// leaves its neighbours alone.
func TestLookupBatch(t *testing.T) {
	parallel.SetWorkers(1) // more leave small matrices to products one by one
	defer parallel.SetWorkers(0)
	tested := false
	for _, l := range levels {
		if len(l.batches()) == 0 {
			continue
		}
		tested = true
		setLevel(t, l.level)
		if l.dots != nil && l.dots.amx != nil { // which would be used instead
			was, without := l.dots, *l.dots
			without.amx = nil
			l.dots = &without
			t.Cleanup(func() { l.dots = was })
		}
		interleavedShapes(func(m *grouped) {
			for _, i := range []*Interleaved{
				Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false, false),
				Interleave(m.codes, nil, 0, m.rows, m.cols, false, false),
			} {
				if i == nil {
					continue
				}
				for _, n := range []int{5, 6, 8, 15, 25, 30, batchMost + 7} {
					if n > 15 && m.rows > 64 && m.cols > 600 {
						continue // takes long, and is nothing new
					}
					testLookupBatch(t, i, n)
				}
			}
		})
	}
	if !tested {
		t.Skipf("untested: no level of this machine looks up sums for vectors at once, it has %v", Levels())
	}
}

func testLookupBatch(t *testing.T, m *Interleaved, n int) {
	t.Helper()
	x, y, want := random(n*m.cols, 5), newGuarded(random(n*m.rows, 6)), make([]float32, n*m.rows)
	x[m.cols+3], x[2*m.cols] = float32(math.NaN()), float32(math.Inf(1))
	clear(x[3*m.cols : 4*m.cols])
	m.MatMul(y.inside, x, n)
	y.check(t, "Interleaved.MatMul")
	for v := range n {
		m.MatMul(want[v*m.rows:(v+1)*m.rows], x[v*m.cols:(v+1)*m.cols], 1)
	}
	for at, w := range want {
		if got := y.inside[at]; math.Float32bits(got) != math.Float32bits(w) && !(got != got && w != w) {
			t.Fatalf("%d×%d, groups of %d, %d vectors: y[%d,%d] is %v, want %v", m.rows, m.cols, m.group, n, at/m.rows, at%m.rows, got, w)
		}
	}
}

// TestInterleavedMatMulShowsWhatIsNotFinite: whole numbers have no NaN, the result does.
func TestInterleavedMatMulShowsWhatIsNotFinite(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		m := randomGrouped(64, 256, 128)
		i := interleave(&m)
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
	})
}

// TestInterleavedMatMulI8 compares products of int8 vectors with those of the original matrix, on all levels.
func TestInterleavedMatMulI8(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		for _, group := range append([]int{0}, groupLengths...) {
			m := randomGrouped(331, 3*288, 288)
			if group > 0 {
				m = randomGrouped(331, 5*group, group)
			} else {
				m.group, m.scales = 0, nil
			}
			i := interleave(&m)
			if i == nil {
				continue // without groups, where only floats are better than before
			}
			for _, n := range []int{0, 1, 3, 15, 20} {
				q, scales := make([]int8, n*m.cols), make([]float32, n)
				x := random(n*m.cols, 4)
				for v := range n {
					scales[v] = QuantizeI8(q[v*m.cols:(v+1)*m.cols], x[v*m.cols:(v+1)*m.cols])
				}
				got, want := newGuarded(random(n*m.rows, 6)), make([]float32, n*m.rows)
				if group > 0 {
					TernaryGroupMatMulI8(want, m.codes, m.scales, group, q, scales, m.rows, m.cols, n)
				} else {
					TernaryMatMulI8(want, m.codes, q, scales, m.rows, m.cols, n)
				}
				for _, l := range Levels() {
					setLevel(t, l)
					i.MatMulI8(got.inside, q, scales, n)
					got.check(t, "Interleaved.MatMulI8")
					near(t, fmt.Sprintf("%v: MatMulI8, groups of %d, %d vectors", l, group, n), got.inside, want, 1e-5, 1e-6)
				}
			}
		}
	})
}

// TestInterleavedMatMulI8OfTheLargest: sums of whole numbers do not overflow at any width.
func TestInterleavedMatMulI8OfTheLargest(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		for _, group := range []int{0, 256, 2048} {
			for code := range byte(3) {
				m := randomGrouped(64, 4096, 256)
				m.fill(code)
				if m.group, m.scales = group, make([]uint16, 64*4096/max(group, 1)); group == 0 {
					m.scales = nil
				}
				for i := range m.scales {
					m.scales[i] = 0x3c00
				}
				const n = 7
				q, scales, y := make([]int8, n*m.cols), make([]float32, n), make([]float32, n*m.rows)
				for i := range q {
					q[i] = []int8{-128, 127}[i/m.cols%2]
				}
				for v := range scales {
					scales[v] = 1
				}
				i := interleave(&m)
				if i == nil {
					continue // lookups want groups
				}
				i.MatMulI8(y, q, scales, n)
				for at, got := range y {
					if want := float32(m.cols) * float32(q[at/m.rows*m.cols]) * (float32(code) - 1); got != want {
						t.Fatalf("codes %d, groups of %d: y[%d] is %v, want %v", code, group, at, got, want)
					}
				}
			}
		}
	})
}

// TestInterleavedWithoutGroups: products with floats are those of a matrix whose scales are 1.
func TestInterleavedWithoutGroups(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		m := randomGrouped(84, 1008, 1008)
		for i := range m.scales {
			m.scales[i] = 0x3c00
		}
		i := interleave(&grouped{m.rows, m.cols, 0, m.codes, nil})
		if i == nil {
			t.Skip("this level interleaves matrices with groups only")
		}
		for _, l := range Levels() {
			setLevel(t, l)
			for _, n := range []int{1, 7} {
				x, y := random(n*m.cols, 5), make([]float32, n*m.rows)
				i.MatMul(y, x, n)
				m.check(t, "MatMul without groups", y, x, n)
			}
		}
	})
}

func TestInterleavedMatMulDoesNotAllocate(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		m := randomGrouped(325, 512, 128)
		i := interleave(&m)
		x, y := random(5*512, 1), make([]float32, 5*325)
		noAllocations(t, "Interleaved.MatMul of one vector", func() { i.MatMul(y[:325], x[:512], 1) })
		noAllocations(t, "Interleaved.MatMul", func() { i.MatMul(y, x, 5) })
	})
}

func TestInterleavedRefusesWrongLengths(t *testing.T) {
	eachInterleaving(t, func(t *testing.T, interleave func(m *grouped) *Interleaved) {
		m, x, y := randomGrouped(32, 192, 64), make([]float32, 192), make([]float32, 32)
		panics(t, "group 48", func() { Interleave(m.codes, m.scales, 48, 32, 192, false, false) })
		panics(t, "codes", func() { Interleave(m.codes[1:], m.scales, 64, 32, 192, false, false) })
		if odd := randomGrouped(15, 192, 64); interleave(&odd) != nil {
			t.Error("15 rows were interleaved")
		}
		i := interleave(&m)
		panics(t, "x", func() { i.MatMul(y, x[1:], 1) })
		panics(t, "y", func() { i.MatMul(y[1:], x, 1) })
	})
}

// TestInterleavedForInt8: products with lookups have no form for int8, and restoring the rows for each product would take several
// times as long as the product.
func TestInterleavedForInt8(t *testing.T) {
	for _, k := range levels {
		setLevel(t, k.level)
		m := randomGrouped(64, 256, 128)
		got := Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false, true)
		if (got != nil) != (k.dots != nil) || got != nil && !got.dots {
			t.Errorf("%v: got %+v, want an order for int8 only where there are products of bytes", k.level, got)
		}
	}
}
