package trit

import (
	"math"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn/ternary"

	"pgregory.net/rapid"
)

// draw makes a sound matrix with blocks of any kind.
func draw(t *rapid.T) *Matrix {
	m := &Matrix{Name: "w", RowBlock: rapid.IntRange(1, 3).Draw(t, "rowBlock"), ColBlock: rapid.IntRange(1, 5).Draw(t, "colBlock")}
	m.Rows = m.RowBlock * rapid.IntRange(1, 3).Draw(t, "rows")
	m.Cols = m.ColBlock * rapid.SampledFrom([]int{1, 2, 4}).Draw(t, "cols")
	n := m.Rows / m.RowBlock * (m.Cols / m.ColBlock)
	m.Scales = rapid.SliceOfN(rapid.SampledFrom([]float32{0, 0.5, 1, 3}), n, n).Draw(t, "scales")
	w := rapid.SliceOfN(rapid.SampledFrom([]float32{-1, 0, 0, 1}), m.Rows*m.Cols, m.Rows*m.Cols).Draw(t, "w")
	m.Codes = make([]byte, m.Rows*ternary.RowBytes(m.Cols))
	ternary.Quantize(m.Codes, w, m.Rows, m.Cols, 1)
	return m
}

func floats(m *Matrix) []float32 {
	all := make([]float32, m.Rows*m.Cols)
	for r := range m.Rows {
		m.Floats(all[r*m.Cols:], r)
	}
	return all
}

// Merging changes no weight, and is refused exactly where it would.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := draw(t)
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		before, scales, block := floats(m), slices.Clone(m.Scales), m.ColBlock
		possible := true // every pair of groups has one scale that gives the weights of both
		if m.Cols/m.ColBlock%2 == 0 {
			for r := range m.Rows {
				for c := range m.Cols {
					for other := c; other < (c/(2*block)+1)*2*block; other++ {
						for r2 := r / m.RowBlock * m.RowBlock; r2 < (r/m.RowBlock+1)*m.RowBlock; r2++ {
							nonzero := ternary.At(m.Row(r), c) != 0 && ternary.At(m.Row(r2), other) != 0
							possible = possible && !(nonzero && m.Scale(r, c) != m.Scale(r2, other))
						}
					}
				}
			}
		} else {
			possible = false
		}
		if got := m.Merge(2 * block); got != possible {
			t.Fatalf("merged: %v, want %v for %+v", got, possible, m)
		}
		if possible {
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
			if m.ColBlock != 2*block {
				t.Fatalf("groups of %d, want %d", m.ColBlock, 2*block)
			}
		} else if m.ColBlock != block || !slices.Equal(m.Scales, scales) {
			t.Fatal("a refused merge changed the matrix")
		}
		if after := floats(m); !slices.Equal(before, after) {
			t.Fatalf("weights %v, want %v", after, before)
		}
	})
}

func TestGranularity(t *testing.T) {
	for want, m := range map[Granularity]Matrix{
		PerMatrix:   {Rows: 4, Cols: 8, RowBlock: 4, ColBlock: 8},
		PerRows:     {Rows: 4, Cols: 8, RowBlock: 2, ColBlock: 8},
		PerColumns:  {Rows: 4, Cols: 8, RowBlock: 4, ColBlock: 4},
		PerGroup:    {Rows: 4, Cols: 8, RowBlock: 1, ColBlock: 4},
		PerSubBlock: {Rows: 4, Cols: 8, RowBlock: 2, ColBlock: 4},
	} {
		if got := m.Granularity(); got != want || got.String() == "" {
			t.Errorf("%+v has %v, want %v", m, got, want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	good := func() *Matrix {
		return &Matrix{Name: "w", Rows: 2, Cols: 4, Codes: []byte{0x55, 0x55}, RowBlock: 2, ColBlock: 4, Scales: []float32{1}}
	}
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Matrix){
		"trit: w: 0 × 4 weights, want at least one row and one column":         func(m *Matrix) { m.Rows = 0 },
		"scales of blocks of 2 × 3, want blocks that divide the 2 × 4 weights": func(m *Matrix) { m.ColBlock = 3 },
		"scales of blocks of 0 × 4":                                            func(m *Matrix) { m.RowBlock = 0 },
		"2 scales, want 1":                                                     func(m *Matrix) { m.Scales = []float32{1, 2} },
		"scale 1 of row 1 is NaN, want a finite number":                        func(m *Matrix) { m.RowBlock, m.ColBlock, m.Scales = 1, 2, []float32{1, 1, 1, float32(math.NaN())} },
		"scale 0 of row 0 is -Inf":                                             func(m *Matrix) { m.Scales[0] = float32(math.Inf(-1)) },
		"1 bytes of codes, want 2 for 2 × 4 weights":                           func(m *Matrix) { m.Codes = m.Codes[:1] },
		"row 1, weight 0 has code 3, which no ternary weight has":              func(m *Matrix) { m.Codes[1] = 0x57 },
	} {
		m := good()
		change(m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The order of the bits is that of the packed weights of bitgpu's own files.
func TestCodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, cols := rapid.IntRange(1, 4).Draw(t, "rows"), rapid.IntRange(1, 9).Draw(t, "cols")
		w := rapid.SliceOfN(rapid.SampledFrom([]float32{-1, 0, 1}), rows*cols, rows*cols).Draw(t, "w")
		want := make([]byte, rows*ternary.RowBytes(cols))
		ternary.Quantize(want, w, rows, cols, 1)
		m := &Matrix{Name: "w", Rows: rows, Cols: cols, Codes: Zeros(rows, cols), RowBlock: rows, ColBlock: cols, Scales: []float32{1}}
		for i, x := range w {
			Set(m.Row(i/cols), i%cols, int(x))
		}
		if err := m.Check(); err != nil || !slices.Equal(m.Codes, want) {
			t.Fatalf("%v, want %v (%v)", m.Codes, want, err)
		}
		if got := floats(m); !slices.Equal(got, w) {
			t.Fatalf("%v, want %v", got, w)
		}
		// What either refuses, the other refuses too.
		at := rapid.IntRange(0, len(m.Codes)-1).Draw(t, "at")
		m.Codes[at] = rapid.Byte().Draw(t, "byte")
		if err, other := m.Check(), ternary.Validate(m.Codes, rows, cols); (err == nil) != (other == nil) {
			t.Fatalf("%v and %v for %v", err, other, m.Codes)
		}
	})
}
