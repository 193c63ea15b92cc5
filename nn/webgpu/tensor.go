package webgpu

import (
	"fmt"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"

	"github.com/x448/float16"
)

// loadBytes is how many bytes of a row of weights a kernel loads at once. Rows of F16, I8 and ternary matrices are padded to
// a multiple of it.
const loadBytes = 16

// Tensor is a tensor in device memory.
type Tensor struct {
	format  op.Format
	shape   []int
	parts   []part
	scales  *gpu.Buffer // I8: one per row; Ternary: γ, one per block of rows
	blocks  int         // Ternary: number of γ
	group   int         // Ternary, Q8_0, Q4_0: how many inputs of a row share a scale of the parts, 0 otherwise
	absmean bool        // ternary products are multiplied by γ
	loaded  bool        // made by Load; a loaded ternary tensor never changes
}

// part holds some rows of a tensor, or all of them if they fit into one binding.
type part struct {
	buffer      *gpu.Buffer
	scales      *gpu.Buffer // of groups: per row pairs of float16, or what package quants defines; or nil
	first, rows int
}

// groupUnit is the smallest number of inputs that share a scale.
const groupUnit = 32

// scalesOf returns the scales for a part.
func (t *Tensor) scalesOf(p part) *gpu.Buffer {
	if p.scales != nil {
		return p.scales
	}
	return t.scales
}

// Shape returns the tensor's shape, which must not be changed.
func (t *Tensor) Shape() []int { return t.shape }

// Shape implements op.Tensors.
func (o *Ops) Shape(t *Tensor) []int {
	if t == nil {
		return nil
	}
	return t.shape
}

// rowsOf returns the length of a tensor's first axis, and the number of elements per row.
func rowsOf(t *Tensor) (rows, each int) { return t.shape[0], op.Count(t.shape[1:]) }

// rowBytes returns the length of a row in device memory.
func (t *Tensor) rowBytes() int {
	each := op.Count(t.shape[1:])
	switch t.format {
	case op.F16, op.BF16:
		if !t.loaded { // a cache
			return 2 * each
		}
		return ceil(2*each, loadBytes) * loadBytes
	case op.I8:
		return ceil(each, loadBytes) * loadBytes
	case op.Ternary:
		return ceil(each, 4*loadBytes) * loadBytes
	}
	if k, ok := t.format.Quants(); ok {
		return k.RowBytes(each)
	}
	return 4 * each
}

// stride returns the length of a row of weights in loads of loadBytes.
func (t *Tensor) stride() uint32 { return uint32(t.rowBytes() / loadBytes) }

// blockRows returns how many rows of a ternary matrix share a γ.
func (t *Tensor) blockRows() uint32 { return uint32(t.shape[0] / max(t.blocks, 1)) }

// whole returns the buffer of a tensor that is not cut into parts; otherwise the device keeps an error.
func (o *Ops) whole(t *Tensor) *gpu.Buffer {
	if t == nil {
		return nil
	}
	if len(t.parts) > 1 {
		o.dev.Fail(fmt.Errorf("webgpu: a tensor of shape %v has %d bytes; %s lets a kernel see %d of it at once",
			t.shape, t.shape[0]*t.rowBytes(), o.dev.Info().Name, o.limit))
	}
	return t.parts[0].buffer
}

// allocate makes a tensor's memory, cut by rows where one binding cannot hold all.
func (o *Ops) allocate(t *Tensor) *Tensor {
	rows, rowBytes := t.shape[0], t.rowBytes()
	if rowBytes%4 != 0 {
		o.dev.Fail(fmt.Errorf("webgpu: a tensor of shape %v in %v: got rows of %d bytes, want a multiple of 4", t.shape, t.format, rowBytes))
	}
	most := o.limit / rowBytes
	if most == 0 {
		o.dev.Fail(fmt.Errorf("webgpu: one row of a tensor of shape %v has %d bytes; %s lets a kernel see %d of it at once",
			t.shape, rowBytes, o.dev.Info().Name, o.limit))
		most = rows
	}
	label := fmt.Sprint(t.format, t.shape)
	for first := 0; first < rows; first += most {
		n := min(most, rows-first)
		t.parts = append(t.parts, part{buffer: o.dev.NewBuffer(label, n*rowBytes), first: first, rows: n})
	}
	return t
}

func (o *Ops) New(format op.Format, shape ...int) *Tensor {
	if format != op.F32 && format != op.U32 && format != op.F16 {
		panic(fmt.Sprintf("webgpu: New makes no %v tensor", format))
	}
	return o.allocate(&Tensor{format: format, shape: shape})
}

func (o *Ops) NewSet(n int, format op.Format, shape ...int) []*Tensor {
	set := make([]*Tensor, n)
	bytes := op.Count(shape) * elementBytes(format)
	if stride := ceil(bytes, 256) * 256; n*stride > o.limit { // more than one kernel can bind
		for i := range set {
			set[i] = o.New(format, shape...)
		}
		return set
	}
	for i, b := range o.dev.NewParts(fmt.Sprint(format, shape), n, bytes) {
		set[i] = &Tensor{format: format, shape: shape, parts: []part{{buffer: b, rows: shape[0]}}}
	}
	return set
}

// NewGrowing is NewSet: WebGPU cannot allocate memory as it is written.
func (o *Ops) NewGrowing(n int, format op.Format, shape ...int) []*Tensor {
	return o.NewSet(n, format, shape...)
}

func (o *Ops) NewTernary(rows, cols, blocks int, absmean bool) *Tensor {
	t := &Tensor{format: op.Ternary, shape: []int{rows, cols}, blocks: blocks, absmean: absmean}
	t.scales = o.dev.NewBuffer("γ", 4*blocks)
	return o.allocate(t)
}

func (o *Ops) NewGroups(rows, cols, group int) *Tensor {
	t := o.allocate(&Tensor{format: op.Ternary, shape: []int{rows, cols}, group: group})
	for i := range t.parts {
		p := &t.parts[i]
		p.scales = o.dev.NewBuffer("scales", 4*ceil(cols/group, 2)*p.rows)
	}
	return t
}

func (o *Ops) Release(ts ...*Tensor) {
	for _, t := range ts {
		o.dropPacked(t)
		for _, p := range t.parts {
			for slot := range 2 {
				if r := o.reads[reading{p.buffer, slot}]; r != nil {
					r.Discard()
					delete(o.reads, reading{p.buffer, slot})
				}
			}
			p.buffer.Release()
			if p.scales != nil {
				p.scales.Release()
			}
		}
		if t.scales != nil {
			t.scales.Release()
		}
		t.parts, t.scales = nil, nil
	}
}

func (o *Ops) Rows(t *Tensor, n int) *Tensor {
	v := *t
	v.shape = append([]int{n}, t.shape[1:]...)
	if n > t.shape[0] {
		op.Check("Rows", t.shape, v.shape...)
	}
	v.parts = nil
	for _, p := range t.parts {
		if p.first < n {
			p.rows = min(p.rows, n-p.first)
			v.parts = append(v.parts, p)
		}
	}
	return &v
}

// elementBytes returns the size of an element of a tensor that New makes.
func elementBytes(f op.Format) int {
	if f == op.F16 {
		return 2
	}
	return 4
}

// pieces visits the bytes of `n` elements from `offset` on in order, buffer by buffer; at is the position within the range.
func pieces(t *Tensor, offset, n int, visit func(b *gpu.Buffer, from, at, size int)) {
	if offset < 0 || n < 0 || offset+n > op.Count(t.shape) {
		panic(fmt.Sprintf("webgpu: elements %d to %d of a tensor of shape %v", offset, offset+n, t.shape))
	}
	each, size := op.Count(t.shape[1:]), elementBytes(t.format)
	if t.rowBytes() != size*each {
		panic(fmt.Sprintf("webgpu: elements of a %v tensor of shape %v, whose rows are padded", t.format, t.shape))
	}
	for _, p := range t.parts {
		from, to := max(offset, p.first*each), min(offset+n, (p.first+p.rows)*each)
		if from < to {
			visit(p.buffer, size*(from-p.first*each), size*(from-offset), size*(to-from))
		}
	}
}

func (o *Ops) write(b *gpu.Buffer, offset int, data []byte) {
	o.dev.Write(b, offset, data)
}

func (o *Ops) Write(t *Tensor, offset int, values []float32) {
	data := gpu.Bytes(values)
	if t.format == op.F16 {
		halves := make([]uint16, len(values))
		for i, v := range values {
			halves[i] = float16.Fromfloat32(v).Bits()
		}
		data = gpu.Bytes(halves)
	}
	pieces(t, offset, len(values), func(b *gpu.Buffer, from, at, size int) { o.write(b, from, data[at:at+size]) })
}

func (o *Ops) WriteTokens(t *Tensor, offset int, ids []uint32) {
	data := gpu.Bytes(ids)
	pieces(t, offset, len(ids), func(b *gpu.Buffer, from, at, size int) { o.write(b, from, data[at:at+size]) })
}

func (o *Ops) Download(t *Tensor, offset int, dst []float32) error {
	if t.format != op.F16 {
		return o.read(t, offset, len(dst), gpu.Bytes(dst))
	}
	halves := make([]uint16, len(dst))
	err := o.read(t, offset, len(dst), gpu.Bytes(halves))
	for i, h := range halves {
		dst[i] = float16.Frombits(h).Float32()
	}
	return err
}

func (o *Ops) DownloadTokens(t *Tensor, offset int, dst []uint32) error {
	return o.read(t, offset, len(dst), gpu.Bytes(dst))
}

// readPiece bounds the staging memory of a download.
const readPiece = 16 << 20

func (o *Ops) read(t *Tensor, offset, n int, dst []byte) error {
	pieces(t, offset, n, func(b *gpu.Buffer, from, at, size int) {
		for end := at + size; at < end; at, from = at+readPiece, from+readPiece {
			piece := dst[at:min(at+readPiece, end)]
			o.dev.DownloadLater(b, from, len(piece)).Wait(piece)
		}
	})
	return o.forget()
}

// forget returns the first error since the last Flush.
func (o *Ops) forget() error {
	if o.dev.Err() == nil {
		return nil
	}
	return o.dev.Flush()
}

func (o *Ops) DownloadTernary(t *Tensor) (op.HostTensor, error) {
	rows, cols := t.shape[0], t.shape[1]
	h := op.HostTensor{Format: op.Ternary, Shape: t.shape, Absmean: t.absmean, Scales: make([]float32, t.blocks)}
	rowBytes, padded := ternary.RowBytes(cols), t.rowBytes()
	h.Codes = make([]byte, rows*rowBytes)
	for _, p := range t.parts {
		if p.scales != nil {
			groups := cols / t.group
			h.Group = t.group
			pairs := make([]uint16, p.scales.Size()/2)
			o.dev.DownloadLater(p.scales, 0, p.scales.Size()).Wait(gpu.Bytes(pairs))
			for r := range p.rows {
				h.GroupScales = append(h.GroupScales, pairs[r*2*ceil(groups, 2):][:groups]...)
			}
		}
		each := max(readPiece/padded, 1)
		for first := 0; first < p.rows; first += each {
			n := min(each, p.rows-first)
			data, err := o.dev.Download(p.buffer, first*padded, n*padded)
			if err != nil {
				return h, o.forget()
			}
			for r := range n {
				copy(h.Codes[(p.first+first+r)*rowBytes:(p.first+first+r+1)*rowBytes], data[r*padded:])
			}
		}
	}
	if t.blocks > 0 {
		o.dev.DownloadLater(t.scales, 0, 4*t.blocks).Wait(gpu.Bytes(h.Scales))
	}
	return h, o.forget()
}

// reading is a StartDownload that has not been finished.
type reading struct {
	buffer *gpu.Buffer
	slot   int
}

func (o *Ops) StartDownload(t *Tensor, slot int) {
	key := reading{o.whole(t), slot}
	if r := o.reads[key]; r != nil {
		r.Discard()
	}
	o.reads[key] = o.dev.DownloadLater(key.buffer, 0, 4*op.Count(t.shape))
	o.dev.Submit()
}

func (o *Ops) FinishDownload(t *Tensor, slot int, dst []uint32) error {
	key := reading{o.whole(t), slot}
	if r := o.reads[key]; r != nil {
		delete(o.reads, key)
		r.Wait(gpu.Bytes(dst))
	}
	return o.forget()
}

func (o *Ops) Copy(dst *Tensor, dstOffset int, src *Tensor, srcOffset, n int) {
	each := elementBytes(src.format)
	pieces(src, srcOffset, n, func(from *gpu.Buffer, at, done, size int) {
		pieces(dst, dstOffset+done/each, size/each, func(to *gpu.Buffer, place, part, size int) {
			if to == from {
				o.copyWithin(to, place, at+part, size)
				return
			}
			o.dev.Copy(to, place, from, at+part, size)
		})
	})
}

// copyWithin copies bytes within a buffer by way of another, because WebGPU copies only between different buffers.
func (o *Ops) copyWithin(b *gpu.Buffer, to, from, size int) {
	between := o.scratch("copy", min(size, readPiece)/4)
	for at := 0; at < size; at += readPiece {
		n := min(readPiece, size-at)
		o.dev.Copy(between, 0, b, from+at, n)
		o.dev.Copy(b, to+at, between, 0, n)
	}
}

func (o *Ops) CopySet(dst, src []*Tensor, n int) {
	if len(dst) > 0 {
		to, from := wholeOf(dst, n), wholeOf(src, n)
		if to != nil && from != nil && to.Size() == from.Size() {
			o.dev.Copy(to, 0, from, 0, to.Size())
			return
		}
	}
	for i := range dst {
		o.Copy(dst[i], 0, src[i], 0, n)
	}
}

// wholeOf returns the buffer that holds exactly the tensors of a set, n elements each; nil if there is none.
func wholeOf(set []*Tensor, n int) *gpu.Buffer {
	if len(set[0].parts) != 1 || set[0].parts[0].buffer.Size() != n*elementBytes(set[0].format) {
		return nil
	}
	whole, _ := set[0].parts[0].buffer.Whole()
	return whole
}

func (o *Ops) ZeroPart(t *Tensor, offset, n int) {
	pieces(t, offset, n, func(b *gpu.Buffer, from, _, size int) { o.dev.Clear(b, from, size) })
}

func (o *Ops) Zero(t *Tensor) {
	for _, p := range t.parts {
		o.dev.Clear(p.buffer, 0, p.rows*t.rowBytes())
	}
}
