package cpu

import (
	"fmt"
	"math"

	"bitgpu/nn/cpu/hugepages"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
	"bitgpu/nn/quants"
	"bitgpu/nn/ternary"

	"github.com/x448/float16"
)

// Float is the type of number that the reference computes with.
type Float interface{ float32 | float64 }

// Tensor is a tensor of the CPU backends: one of its slices holds the numbers, by its format.
type Tensor[F Float] struct {
	Format  op.Format
	Shape   []int
	Data    []F      // F32
	Half    []uint16 // F16 and BF16
	Int8    []int8   // I8
	Codes   []byte   // Ternary
	Tokens  []uint32 // U32
	Scales  []F      // I8: one a row; Ternary: γ, one a block of rows
	Absmean bool     // a ternary product is multiplied by γ

	Group       int      // Ternary, where not 0: how many inputs of a row share a scale
	GroupScales []uint16 // those scales, float16, (rows, cols/Group)

	quants *quants.Matrix // Q8_0, Q4_0, Q4_K, Q6_K

	interleaved *simd.Interleaved // instead of Codes and GroupScales, where products with them are faster so

	pending [2][]uint32 // U32: reads that were started
}

// scale returns the factor of products with row r of a ternary matrix.
func (t *Tensor[F]) scale(r int) F {
	if !t.Absmean {
		return 1
	}
	return t.Scales[r*len(t.Scales)/t.Shape[0]]
}

// straight returns the factor that turns dyᵀx into the gradient of row r of the master weights.
func (t *Tensor[F]) straight(r int) F {
	if t.Absmean || len(t.Scales) == 0 {
		return 1
	}
	return 1 / t.Scales[r*len(t.Scales)/t.Shape[0]]
}

// row writes row r of a matrix of any format, scaled, into dst.
func (t *Tensor[F]) row(dst []F, r int) {
	cols := t.Shape[1]
	switch t.Format {
	case op.F32:
		copy(dst, t.Data[r*cols:(r+1)*cols])
	case op.F16:
		for c := range cols {
			dst[c] = F(float16.Frombits(t.Half[r*cols+c]).Float32())
		}
	case op.BF16:
		for c := range cols {
			dst[c] = F(math.Float32frombits(uint32(t.Half[r*cols+c]) << 16))
		}
	case op.I8:
		for c := range cols {
			dst[c] = F(t.Int8[r*cols+c]) * t.Scales[r]
		}
	case op.Q8_0, op.Q4_0, op.Q4_K, op.Q6_K:
		quants.Row(dst, t.quants, r)
	case op.Ternary:
		switch {
		case t.interleaved != nil:
			t.interleaved.Row(any(dst).([]float32), r)
		case t.Group > 0:
			ternary.Unpack(dst, t.codes(r, 1), 1, cols)
			for c := range cols {
				dst[c] *= F(float16.Frombits(t.GroupScales[(r*cols+c)/t.Group]).Float32())
			}
		default:
			ternary.Unpack(dst, t.codes(r, 1), 1, cols)
		}
		if t.Absmean {
			for c := range cols {
				dst[c] *= t.scale(r)
			}
		}
	default:
		panic(fmt.Sprintf("cpu: rows of a %v tensor", t.Format))
	}
}

// data returns the numbers of an F32 tensor, nil for the nil tensor.
func (t *Tensor[F]) data() []F {
	if t == nil {
		return nil
	}
	return t.Data
}

// arena is the part of op.Tensors that makes and keeps tensors.
type arena[F Float] struct {
	inUse    int                   // bytes of the tensors made and not released
	reserved map[*Tensor[F]]func() // what frees tensors outside of Go's heap
}

func (m *arena[F]) New(format op.Format, shape ...int) *Tensor[F] {
	t := &Tensor[F]{Format: format, Shape: shape}
	n := op.Count(shape)
	switch format {
	case op.F32:
		t.Data = hugepages.Make[F](n)
	case op.F16:
		t.Half = make([]uint16, n)
	case op.U32:
		t.Tokens = make([]uint32, n)
	default:
		panic(fmt.Sprintf("cpu: New makes no %v tensor", format))
	}
	m.inUse += t.bytes()
	return t
}

func (m *arena[F]) NewSet(n int, format op.Format, shape ...int) []*Tensor[F] {
	set := make([]*Tensor[F], n)
	for i := range set {
		set[i] = m.New(format, shape...)
	}
	return set
}

func (m *arena[F]) NewGrowing(n int, format op.Format, shape ...int) []*Tensor[F] {
	set := make([]*Tensor[F], n)
	for i := range set {
		t := &Tensor[F]{Format: format, Shape: shape}
		var release func()
		switch format {
		case op.F32:
			t.Data, release = hugepages.Reserve[F](op.Count(shape))
		case op.F16:
			t.Half, release = hugepages.Reserve[uint16](op.Count(shape))
		default:
			panic(fmt.Sprintf("cpu: NewGrowing makes no %v tensor", format))
		}
		if m.reserved == nil {
			m.reserved = map[*Tensor[F]]func(){}
		}
		m.reserved[t] = release
		m.inUse += t.bytes()
		set[i] = t
	}
	return set
}

func (m *arena[F]) NewTernary(rows, cols, blocks int, absmean bool) *Tensor[F] {
	t := &Tensor[F]{
		Format: op.Ternary, Shape: []int{rows, cols}, Absmean: absmean,
		Codes: make([]byte, rows*ternary.RowBytes(cols)), Scales: make([]F, blocks),
	}
	m.inUse += t.bytes()
	return t
}

func (m *arena[F]) NewGroups(rows, cols, group int) *Tensor[F] {
	t := &Tensor[F]{
		Format: op.Ternary, Shape: []int{rows, cols}, Group: group,
		Codes: make([]byte, rows*ternary.RowBytes(cols)), GroupScales: make([]uint16, rows*cols/group),
	}
	m.inUse += t.bytes()
	return t
}

func (m *arena[F]) Load(h op.HostTensor) *Tensor[F] {
	t := &Tensor[F]{
		Format: h.Format, Shape: h.Shape, Half: h.F16, Int8: h.I8, Codes: h.Codes,
		Data: convert[F](h.F32), Scales: convert[F](h.Scales), Absmean: h.Absmean, Group: h.Group, GroupScales: h.GroupScales,
		quants: h.Quants,
	}
	m.inUse += t.bytes()
	return t
}

// convert copies, so that a tensor never changes what it was loaded from.
func convert[F Float](v []float32) []F {
	out := hugepages.Make[F](len(v))
	for i, x := range v {
		out[i] = F(x)
	}
	return out
}

func (t *Tensor[F]) bytes() int {
	var f F
	size := 4
	if _, ok := any(f).(float64); ok {
		size = 8
	}
	return t.interleaved.Bytes() + t.quants.Bytes() + size*(len(t.Data)+len(t.Scales)) + 2*(len(t.Half)+len(t.GroupScales)) + len(t.Int8) + len(t.Codes) + 4*len(t.Tokens)
}

// BytesInUse returns the memory of all tensors.
func (m *arena[F]) BytesInUse() int { return m.inUse }

func (m *arena[F]) Release(ts ...*Tensor[F]) {
	for _, t := range ts {
		m.inUse -= t.bytes()
		if release := m.reserved[t]; release != nil {
			release()
			delete(m.reserved, t)
		}
		*t = Tensor[F]{}
	}
}

// Shape returns t's shape, which must not be changed; nil for the nil tensor.
func (m *arena[F]) Shape(t *Tensor[F]) []int {
	if t == nil {
		return nil
	}
	return t.Shape
}

func (m *arena[F]) Rows(t *Tensor[F], n int) *Tensor[F] {
	v := *t
	v.Shape = append([]int{n}, t.Shape[1:]...)
	end := n * op.Count(t.Shape[1:])
	switch t.Format {
	case op.U32:
		v.Tokens = t.Tokens[:end]
	case op.F16:
		v.Half = t.Half[:end]
	default:
		v.Data = t.Data[:end]
	}
	return &v
}

func (m *arena[F]) Write(t *Tensor[F], offset int, values []float32) {
	if t.Format == op.F16 {
		simd.Float16s(t.Half[offset:offset+len(values)], values)
		return
	}
	for i, x := range values {
		t.Data[offset+i] = F(x)
	}
}

func (m *arena[F]) WriteTokens(t *Tensor[F], offset int, ids []uint32) { copy(t.Tokens[offset:], ids) }

func (m *arena[F]) Download(t *Tensor[F], offset int, dst []float32) error {
	if t.Format == op.F16 {
		simd.Float32s(dst, t.Half[offset:offset+len(dst)])
		return nil
	}
	for i, x := range t.Data[offset : offset+len(dst)] {
		dst[i] = float32(x)
	}
	return nil
}

// Floats returns the elements of an F32 tensor, not copied; nil if they are float64.
func (m *arena[F]) Floats(t *Tensor[F]) []float32 {
	floats, _ := any(t.Data).([]float32)
	return floats
}

func (m *arena[F]) DownloadTokens(t *Tensor[F], offset int, dst []uint32) error {
	copy(dst, t.Tokens[offset:])
	return nil
}

func (m *arena[F]) DownloadTernary(t *Tensor[F]) (op.HostTensor, error) {
	h := op.HostTensor{Format: op.Ternary, Shape: t.Shape, Codes: t.Codes, Absmean: t.Absmean, Group: t.Group, GroupScales: t.GroupScales}
	if t.interleaved != nil {
		rows, cols := t.Shape[0], t.Shape[1]
		h.Codes = make([]byte, rows*ternary.RowBytes(cols))
		if t.Group > 0 {
			h.GroupScales = make([]uint16, rows*(cols/t.Group))
		}
		t.interleaved.Packed(h.Codes, h.GroupScales, 0, rows)
	}
	for _, s := range t.Scales {
		h.Scales = append(h.Scales, float32(s))
	}
	return h, nil
}

func (m *arena[F]) Copy(dst *Tensor[F], dstOffset int, src *Tensor[F], srcOffset, n int) {
	switch src.Format {
	case op.U32:
		copy(dst.Tokens[dstOffset:dstOffset+n], src.Tokens[srcOffset:])
		return
	case op.F16:
		copy(dst.Half[dstOffset:dstOffset+n], src.Half[srcOffset:])
		return
	}
	copy(dst.Data[dstOffset:dstOffset+n], src.Data[srcOffset:])
}

func (m *arena[F]) CopySet(dst, src []*Tensor[F], n int) {
	for i := range dst {
		m.Copy(dst[i], 0, src[i], 0, n)
	}
}

func (m *arena[F]) Zero(t *Tensor[F]) {
	clear(t.Data)
	clear(t.Half)
	clear(t.Tokens)
}

func (m *arena[F]) ZeroPart(t *Tensor[F], offset, n int) {
	switch t.Format {
	case op.U32:
		clear(t.Tokens[offset : offset+n])
	case op.F16:
		clear(t.Half[offset : offset+n])
	default:
		clear(t.Data[offset : offset+n])
	}
}

func (m *arena[F]) Submit()        {}
func (m *arena[F]) Flush() error   { return nil }
func (m *arena[F]) Lookahead() int { return 1 }
