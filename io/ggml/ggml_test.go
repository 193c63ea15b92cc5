package ggml

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/io/trit"
	"bitgpu/nn/ternary"

	"github.com/x448/float16"
	"pgregory.net/rapid"
)

var ternaryLayouts = []Layout{LayoutTQ1_0, LayoutTQ2_0, LayoutI2_S, LayoutQ2_0, LayoutPQ2_0, LayoutPTQ1_0, LayoutTQ2_0G128}

// codeAt is code i of a block as the formats' descriptions have it, written out one by one.
func codeAt(l Layout, b []byte, i int) byte {
	trit := func(q byte, n int) byte {
		for range n {
			q *= 3
		}
		return byte(uint16(q) * 3 >> 8)
	}
	switch l {
	case LayoutTQ1_0:
		switch {
		case i < 160:
			return trit(b[i%32], i/32)
		case i < 240:
			return trit(b[32+(i-160)%16], (i-160)/16)
		}
		return trit(b[48+(i-240)%4], (i-240)/4)
	case LayoutPTQ1_0:
		switch {
		case i < 80:
			return trit(b[i%16], i/16)
		case i < 120:
			return trit(b[16+(i-80)%8], (i-80)/8)
		}
		return trit(b[24+(i-120)%2], (i-120)/2)
	case LayoutTQ2_0:
		return b[i/128*32+i%32] >> (i % 128 / 32 * 2) & 3
	case LayoutI2_S:
		return b[i%32] >> (6 - i/32*2) & 3
	case LayoutQ2_0, LayoutPQ2_0:
		return b[2+i/4] >> (i % 4 * 2) & 3
	case LayoutTQ2_0G128:
		return b[i/4] >> (i % 4 * 2) & 3
	}
	panic(l)
}

func TestPlaces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, l := range ternaryLayouts {
		weights, size := l.Block()
		block, codes := make([]byte, size), make([]byte, weights)
		for range 50 {
			for i := range block {
				block[i] = byte(random.Uint32())
			}
			l.format().unpack(codes, block)
			for i, q := range codes {
				if want := codeAt(l, block, i); q != want {
					t.Fatalf("%v: weight %d is code %d, want %d", l, i, q, want)
				}
			}
		}
	}
}

// A number of five trits is the byte that is written for it, as the page of each format says: ceil(v·256/243).
func TestTrits(t *testing.T) {
	f := layouts[LayoutPTQ1_0]
	codes := make([]byte, 128)
	for n, q := range []byte{2, 0, 1, 2, 1} {
		codes[16*n] = q
	}
	block := make([]byte, 28)
	f.pack(block, codes)
	v := 2*81 + 0*27 + 1*9 + 2*3 + 1
	if want := byte(math.Ceil(float64(v) * 256 / 243)); block[0] != want {
		t.Errorf("byte %d, want %d", block[0], want)
	}
}

// draw makes a matrix that l can hold.
func draw(t *rapid.T, l Layout) *trit.Matrix {
	weights, _ := l.Block()
	m := &trit.Matrix{Name: "w", RowBlock: 1, ColBlock: weights, Rows: rapid.IntRange(1, 4).Draw(t, "rows"), Cols: weights * rapid.IntRange(1, 3).Draw(t, "blocks")}
	if l == LayoutI2_S {
		m.Rows, m.Cols = 4*m.Rows, 32*rapid.IntRange(1, 7).Draw(t, "quarters") // rows that begin within a block
		m.RowBlock, m.ColBlock = m.Rows, m.Cols
	}
	n := m.Rows / m.RowBlock * (m.Cols / m.ColBlock)
	for range n {
		bits := rapid.Uint16().Filter(func(b uint16) bool { return b>>10&31 != 31 }).Draw(t, "scale")
		m.Scales = append(m.Scales, float16.Frombits(bits).Float32())
	}
	if l == LayoutI2_S {
		m.Scales[0] = rapid.Float32().Draw(t, "scale")
	}
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	w := make([]float32, m.Rows*m.Cols)
	for i := range w {
		w[i] = float32(random.IntN(3) - 1)
	}
	m.Codes = make([]byte, m.Rows*ternary.RowBytes(m.Cols))
	ternary.Quantize(m.Codes, w, m.Rows, m.Cols, 1)
	return m
}

func TestRoundTrip(t *testing.T) {
	for _, l := range ternaryLayouts {
		t.Run(l.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want := draw(t, l)
				data, err := Encode(l, want)
				if err != nil {
					t.Fatal(err)
				}
				m := Matrix{Name: "w", Type: l.Type(), Layout: l, Rows: want.Rows, Cols: want.Cols, Data: data}
				got, err := m.Ternary()
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Codes, want.Codes) || !slices.Equal(got.Scales, want.Scales) || got.RowBlock != want.RowBlock || got.ColBlock != want.ColBlock {
					t.Fatalf("%+v, want %+v", got, want)
				}
				x, y := make([]float32, m.Cols), make([]float32, m.Cols)
				first := rapid.IntRange(0, m.Rows-1).Draw(t, "first")
				part, err := m.TernaryRows(first, m.Rows)
				if err != nil {
					t.Fatal(err)
				}
				for r := range part.Rows {
					part.Floats(x, r)
					got.Floats(y, first+r)
					if !slices.Equal(x, y) {
						t.Fatalf("row %d in a part: %v, want %v", first+r, x, y)
					}
				}
				for r := range m.Rows {
					want.Floats(x, r)
					if err := m.Floats(y, r); err != nil || !slices.Equal(x, y) {
						t.Fatalf("row %d: %v, want %v (%v)", r, y, x, err)
					}
				}
			})
		})
	}
}

// A matrix with one scale goes into every layout.
func TestEncodeCoarse(t *testing.T) {
	m := &trit.Matrix{Name: "w", Rows: 2, Cols: 512, RowBlock: 2, ColBlock: 512, Scales: []float32{0.75}, Codes: bytes.Repeat([]byte{0b10_00_01_10}, 256)}
	for _, l := range ternaryLayouts {
		data, err := Encode(l, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := (&Matrix{Layout: l, Rows: 2, Cols: 512, Data: data}).Ternary()
		if err != nil || !bytes.Equal(got.Codes, m.Codes) || slices.ContainsFunc(got.Scales, func(s float32) bool { return s != 0.75 }) {
			t.Errorf("%v: %+v (%v)", l, got, err)
		}
	}
}

// floatsOf is the arithmetic of ggml-quants.c, written as that file has it.
func floatsOf(l Layout, b []byte) (y []float32) {
	h := func(at int) float32 { return float16.Frombits(binary.LittleEndian.Uint16(b[at:])).Float32() }
	switch l {
	case LayoutF32:
		return []float32{math.Float32frombits(binary.LittleEndian.Uint32(b))}
	case LayoutF16:
		return []float32{h(0)}
	case LayoutBF16:
		return []float32{math.Float32frombits(uint32(b[0])<<16 | uint32(b[1])<<24)}
	case LayoutQ8_0:
		for j := range 32 {
			y = append(y, float32(int8(b[2+j]))*h(0))
		}
	case LayoutQ4_0:
		y = make([]float32, 32)
		for j := range 16 {
			y[j], y[j+16] = float32(int(b[2+j]&0x0F)-8)*h(0), float32(int(b[2+j]>>4)-8)*h(0)
		}
	case LayoutQ4_K:
		scales, q := b[4:16], b[16:]
		scaleMin := func(j int) (d, m uint8) {
			if j < 4 {
				return scales[j] & 63, scales[j+4] & 63
			}
			return scales[j+4]&0xF | (scales[j-4]>>6)<<4, scales[j+4]>>4 | (scales[j]>>6)<<4
		}
		is := 0
		for j := 0; j < 256; j += 64 {
			d1, m1 := scaleMin(is)
			d2, m2 := scaleMin(is + 1)
			for l := range 32 {
				y = append(y, float32(h(0)*float32(d1)*float32(q[l]&0xF))-h(2)*float32(m1))
			}
			for l := range 32 {
				y = append(y, float32(h(0)*float32(d2)*float32(q[l]>>4))-h(2)*float32(m2))
			}
			q = q[32:]
			is += 2
		}
	case LayoutQ6_K:
		ql, qh, sc := b[:128], b[128:192], b[192:208]
		y = make([]float32, 256)
		for n := 0; n < 256; n += 128 {
			for l := range 32 {
				is := l / 16
				q := [4]int{int(ql[l]&0xF|(qh[l]>>0&3)<<4) - 32, int(ql[l+32]&0xF|(qh[l]>>2&3)<<4) - 32, int(ql[l]>>4|(qh[l]>>4&3)<<4) - 32, int(ql[l+32]>>4|(qh[l]>>6&3)<<4) - 32}
				for k, v := range q {
					y[n+l+32*k] = h(208) * float32(int8(sc[is+2*k])) * float32(v)
				}
			}
			ql, qh, sc = ql[64:], qh[32:], sc[8:]
		}
	}
	return y
}

func TestFloats(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, l := range []Layout{LayoutF32, LayoutF16, LayoutBF16, LayoutQ8_0, LayoutQ4_0, LayoutQ4_K, LayoutQ6_K} {
		weights, size := l.Block()
		m := Matrix{Name: "w", Layout: l, Rows: 3, Cols: 2 * weights, Data: make([]byte, 6*size)}
		read := 0
		for range 200 {
			for i := range m.Data {
				m.Data[i] = byte(random.Uint32())
			}
			got := make([]float32, m.Cols)
			for r := range m.Rows {
				err := m.Floats(got, r)
				want := slices.Concat(floatsOf(l, m.Data[2*r*size:(2*r+1)*size]), floatsOf(l, m.Data[(2*r+1)*size:]))
				infinite := slices.ContainsFunc(want, func(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) })
				if (err != nil) != infinite {
					t.Fatalf("%v: %v for %v", l, err, want)
				}
				if err == nil && !slices.Equal(got, want) {
					t.Fatalf("%v: %v, want %v", l, got, want)
				}
				if err == nil {
					read++
				}
			}
		}
		if read < 100 {
			t.Errorf("%v: %d rows read", l, read)
		}
	}
}

// Every layout is its type's, and every size that of the type.
func TestTypes(t *testing.T) {
	for l := LayoutF32; l <= LayoutTQ2_0G128; l++ {
		weights, size := l.Block()
		if got, err := l.Bytes(1, weights*2); l != LayoutI2_S && (err != nil || got != 2*size) || !l.Known() {
			t.Errorf("%v: %d bytes (%v)", l, got, err)
		}
		if l != LayoutTQ2_0G128 && (l.Type().Layout() != l || l.Type().String() != l.String()) {
			t.Errorf("%v is the layout of %v", l.Type().Layout(), l.Type())
		}
	}
	for typ, bits := range map[Type]float64{TQ1_0: 1.6875, TQ2_0: 2.0625, Q1_0: 1.125, Q2_0: 2.25, PQ2_0: 2.125, PTQ1_0: 1.75, Q4_0: 4.5, Q4_K: 4.5, Q6_K: 6.5625, Q8_0: 8.5} {
		size, err := typ.Bytes(1, 512)
		if err != nil || float64(size)*8/512 != bits {
			t.Errorf("%v has %v bits, want %v (%v)", typ, float64(size)*8/512, bits, err)
		}
	}
	if size, err := I2_S.Bytes(3, 128); err != nil || size != 3*32+32 {
		t.Errorf("I2_S has %d bytes (%v)", size, err)
	}
	if Type(77).Known() || Type(77).Layout() != 0 || Type(77).String() != "type 77" || Type(13).Layout() != 0 {
		t.Error("type 77 is known")
	}
	if _, err := Type(77).Bytes(1, 1); err == nil {
		t.Error("type 77 has a size")
	}
}

// What a ternary layout reads can be written, and reads the same again; with two bits a weight it is the same bytes.
func FuzzTernary(f *testing.F) {
	for _, l := range ternaryLayouts {
		f.Add(uint8(l), uint8(2), uint8(1), bytes.Repeat([]byte{0x15, 0x12}, 64))
	}
	f.Fuzz(func(t *testing.T, layout, rows, cols uint8, data []byte) {
		l := Layout(layout)
		if !l.Known() {
			return
		}
		weights, _ := l.Block()
		m := Matrix{Name: "w", Type: l.Type(), Layout: l, Rows: int(rows), Cols: int(cols) * weights, Data: data}
		if l == LayoutI2_S {
			m.Cols = int(cols)
		}
		size, err := l.Bytes(m.Rows, m.Cols)
		if err != nil || len(data) < size {
			return
		}
		m.Data = data[:size]
		row, same := make([]float32, m.Cols), make([]float32, m.Cols)
		finite := true
		for r := range m.Rows {
			finite = m.Floats(row, r) == nil && finite
		}
		if !l.Ternary() {
			return
		}
		got, err := m.Ternary()
		if err != nil {
			return
		}
		if !finite {
			t.Fatal("codes and scales, and no floats")
		}
		for r := range m.Rows {
			m.Floats(row, r)
			got.Floats(same, r)
			if !slices.Equal(row, same) {
				t.Fatalf("row %d: %v and %v", r, row, same)
			}
		}
		again, err := Encode(l, got)
		if err != nil {
			t.Fatal(err)
		}
		if l == LayoutI2_S {
			again, m.Data = again[:size-28], m.Data[:size-28]
		}
		if !l.format().trits && !bytes.Equal(again, m.Data) {
			t.Fatalf("%x, want %x", again, m.Data)
		}
		if l == LayoutI2_S {
			return
		}
		m.Data = again
		twice, err := m.Ternary()
		if err != nil || !bytes.Equal(twice.Codes, got.Codes) || !slices.Equal(twice.Scales, got.Scales) {
			t.Fatalf("%+v, want %+v (%v)", twice, got, err)
		}
	})
}

// Random blocks are the floats that gguf-py makes of them; testdata/blocks.py wrote both.
func TestBlocks(t *testing.T) {
	f, err := safetensors.Open("testdata/blocks.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, l := range []Layout{LayoutBF16, LayoutQ8_0, LayoutQ4_0, LayoutQ4_K, LayoutQ6_K, LayoutTQ1_0, LayoutTQ2_0} {
		blocks, ok1 := f.Tensor(l.String())
		floats, ok2 := f.Tensor(l.String() + ".floats")
		want, err := floats.Float32s()
		if !ok1 || !ok2 || err != nil {
			t.Fatalf("%v is not there (%v)", l, err)
		}
		m := Matrix{Name: l.String(), Layout: l, Rows: floats.Shape[0], Cols: floats.Shape[1], Data: blocks.Data}
		got := make([]float32, m.Cols)
		for r := range m.Rows {
			if err := m.Floats(got, r); err != nil || !slices.Equal(got, want[r*m.Cols:(r+1)*m.Cols]) {
				t.Errorf("%v: row %d: %v, want %v (%v)", l, r, got, want[r*m.Cols:(r+1)*m.Cols], err)
			}
		}
	}
}
