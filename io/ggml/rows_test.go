package ggml

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"bitgpu/io/trit"
)

// Rows are packed as the weights one by one say, of any bytes.
func TestPackedRow(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for l := LayoutTQ1_0; l.Known(); l++ {
		for _, cols := range []int{256, 768} {
			const rows = 3
			size, err := l.Bytes(rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			m := &Matrix{Name: "w", Layout: l, Rows: rows, Cols: cols, Data: make([]byte, size)}
			for i := range m.Data {
				m.Data[i] = byte(r.Uint32())
			}
			if err := m.Packable(); err != nil {
				t.Fatal(err)
			}
			f := l.format()
			for row := range rows {
				got, want := make([]byte, trit.RowBytes(cols)), make([]byte, trit.RowBytes(cols))
				m.PackedRow(got, row)
				m.pack(want, m.codes(make([]byte, cols+2*f.weights), row))
				if !bytes.Equal(got, want) {
					t.Errorf("%v: row %d is %x, want %x", l, row, got, want)
				}
			}
		}
	}
}

func BenchmarkPackedRow(b *testing.B) {
	for _, l := range []Layout{LayoutPQ2_0, LayoutTQ2_0, LayoutI2_S, LayoutPTQ1_0, LayoutTQ1_0} {
		b.Run(l.String(), func(b *testing.B) {
			const rows, cols = 64, 2048
			size, err := l.Bytes(rows, cols)
			if err != nil {
				b.Fatal(err)
			}
			m := &Matrix{Layout: l, Rows: rows, Cols: cols, Data: make([]byte, size)}
			dst := make([]byte, cols/4)
			b.SetBytes(rows * cols) // weights
			for b.Loop() {
				for r := range rows {
					m.PackedRow(dst, r)
				}
			}
		})
	}
}
