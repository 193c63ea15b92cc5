package ggml

import (
	"math"
	"strings"
	"testing"

	"bitgpu/io/trit"
)

// Q2_0 defines code 3 as +2, which no ternary matrix has.
func TestCode3(t *testing.T) {
	for _, l := range ternaryLayouts {
		f := l.format()
		if f.trits {
			continue
		}
		weights, _ := l.Block()
		size, err := l.Bytes(2, weights)
		if err != nil {
			t.Fatal(err)
		}
		m := Matrix{Name: "blk.0.w", Layout: l, Rows: 2, Cols: weights, Data: make([]byte, size)}
		m.Data[f.bytes+f.scaleAt+1] = 0x3C // a scale of 1
		if l == LayoutI2_S {
			copy(m.Data[size-32:], []byte{0, 0, 0x80, 0x3F})
		}
		p := f.places[7]
		m.Data[f.bytes+int(p.at)] |= 3 << p.digit
		if _, err := m.Ternary(); err == nil || !strings.Contains(err.Error(), "blk.0.w: row 1") || !strings.Contains(err.Error(), "code 3") {
			t.Errorf("%v: %v", l, err)
		}
		row := make([]float32, weights)
		if err := m.Floats(row, 0); err != nil {
			t.Errorf("%v: row 0: %v", l, err)
		}
		err = m.Floats(row, 1)
		switch {
		case l == LayoutQ2_0 && (err != nil || row[7] != 2):
			t.Errorf("Q2_0: %v, want 2 (%v)", row[7], err)
		case l != LayoutQ2_0 && (err == nil || !strings.Contains(err.Error(), "ggml: blk.0.w: row 1, weight 7 has code 3")):
			t.Errorf("%v: %v", l, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	row := make([]float32, 300)
	for want, m := range map[string]Matrix{
		"ggml: w: type Q1_0 is binary":                                          {Type: Q1_0, Rows: 1, Cols: 128, Data: make([]byte, 18)},
		"weights of type 13, Q5_K, cannot be read, want F32":                    {Type: 13, Rows: 1, Cols: 256},
		"weights of type 99, type 99, cannot be read":                           {Type: 99, Rows: 1, Cols: 256},
		"33 bytes, want 34 for 1 × 128 weights of PQ2_0":                        {Layout: LayoutPQ2_0, Rows: 1, Cols: 128, Data: make([]byte, 33)},
		"rows of 192 weights, want a multiple of 128 for type PTQ1_0":           {Layout: LayoutPTQ1_0, Rows: 1, Cols: 192},
		"rows of 128 weights, want a multiple of 256 for type TQ1_0":            {Layout: LayoutTQ1_0, Rows: 2, Cols: 128},
		"1 × 96 weights, want a multiple of 128 for type I2_S":                  {Layout: LayoutI2_S, Rows: 1, Cols: 96},
		"0 × 96 weights, want from 1 to 2⁵⁶":                                    {Layout: LayoutF32, Rows: 0, Cols: 96},
		"9223372036854775807 × 9223372036854775807 weights, want from 1 to 2⁵⁶": {Layout: LayoutF32, Rows: math.MaxInt, Cols: math.MaxInt},
		"row 0, weight 1 is NaN, want a finite number":                          {Layout: LayoutF16, Rows: 1, Cols: 2, Data: []byte{0, 0, 1, 0x7C}},
		"row 0, weight 0 is -Inf, want a finite number":                         {Layout: LayoutF16, Rows: 1, Cols: 2, Data: []byte{0, 0xFC, 1, 0}},
		"layout 200": {Layout: 200},
	} {
		m.Name = "w"
		if l := m.Layout; l == 200 {
			if l.Known() || l.String() != want || l.Ternary() {
				t.Errorf("%v", l)
			}
			continue
		}
		err := m.Floats(row, 0)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	m := Matrix{Name: "w", Layout: LayoutF32, Rows: 1, Cols: 2, Data: make([]byte, 8)}
	for _, err := range []error{m.Floats(row, 1), m.Floats(row, -1), m.Floats(row[:1], 0)} {
		if err == nil || !strings.Contains(err.Error(), "want one of 1 rows into 2") {
			t.Error(err)
		}
	}
	if _, err := m.Ternary(); err == nil || !strings.Contains(err.Error(), "weights of F32 are floats, want a ternary type") {
		t.Error(err)
	}
	parts := Matrix{Name: "w", Layout: LayoutPQ2_0, Rows: 3, Cols: 128, Data: make([]byte, 102)}
	parts.Data[2*34+5] = 3 << 2
	for _, rows := range [][2]int{{-1, 1}, {1, 1}, {2, 4}} {
		if _, err := parts.TernaryRows(rows[0], rows[1]); err == nil || !strings.Contains(err.Error(), "want at least one of 3") {
			t.Errorf("rows %v: %v", rows, err)
		}
	}
	if _, err := parts.TernaryRows(1, 3); err == nil || !strings.Contains(err.Error(), "w from row 1 on: row 1, weight 13 has code 3") {
		t.Error(err)
	}
	broken := Matrix{Name: "w", Layout: LayoutPQ2_0, Rows: 1, Cols: 128, Data: make([]byte, 34)}
	broken.Data[1] = 0x7E
	if _, err := broken.Ternary(); err == nil || !strings.Contains(err.Error(), "w: scale 0 of row 0 is NaN") {
		t.Error(err)
	}
}

func TestEncodeRefusals(t *testing.T) {
	m := &trit.Matrix{Name: "w", Rows: 2, Cols: 256, RowBlock: 1, ColBlock: 64, Scales: make([]float32, 8), Codes: make([]byte, 128)}
	refuse := func(l Layout, want string) {
		t.Helper()
		if _, err := Encode(l, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", l, err, want)
		}
	}
	refuse(LayoutPQ2_0, "ggml: w: a scale for 64 inputs of a row, want one for a multiple of 128 in PQ2_0")
	refuse(LayoutI2_S, "w: a scale a group of inputs, want one scale for type I2_S")
	refuse(LayoutF16, "F16 is no ternary layout")
	refuse(0, "layout 0 is no ternary layout")
	m.Scales[5] = 0.1
	refuse(LayoutQ2_0, "row 1 has the scale 0.1, want a float16 for Q2_0, the nearest of which is 0.099975586")
	m.Codes = m.Codes[1:]
	refuse(LayoutQ2_0, "127 bytes of codes, want 128")
}
