package webgpu

import (
	"fmt"
	"math"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// tileRows is the number of rows and columns of a tile.
const tileRows = 64

// product records the kernel that multiplies n rows by `quads` groups of four rows of weights, each `stride` loads long.
func (o *Ops) product(vector, matrix *wgsl.Kernel, v variant, params []byte, n, quads int, stride uint32, buffers ...*gpu.Buffer) {
	c := o.choose(vector, v, n, quads, stride)
	if c.Tiles {
		v.kernel = matrix
		o.dispatch(v, params, ceil(quads, tileRows/4), ceil(n, tileRows), buffers...)
		return
	}
	v.kernel, v.lanes, v.quads, v.workgroup = vector, c.Lanes, c.Quads, c.Workgroup
	together := int(c.Workgroup / c.Lanes * c.Quads)
	o.dispatch(v, params, ceil(quads, together), n, buffers...)
}

func (o *Ops) linear(args *op.Linear[*Tensor]) { o.multiply(args, nil) }

// multiply records a Linear, together with the RMSNorm before it if there is one.
func (o *Ops) multiply(args *op.Linear[*Tensor], norm *op.RMSNorm[*Tensor]) {
	o.multiplyRounded(args, norm, nil)
}

// multiplyRounded is multiply. With gateUp, which only products with Int8 may have, the norm's input is the SquaredReLU of gateUp.
func (o *Ops) multiplyRounded(args *op.Linear[*Tensor], norm *op.RMSNorm[*Tensor], gateUp *gpu.Buffer) {
	y, addend, w := args.Y, args.Addend, args.W
	n, K := rowsOf(args.X)
	R := w.shape[0]
	source := o.whole(args.X)
	var gain, x *gpu.Buffer
	eps := float32(0)
	switch {
	case w.format == op.I8:
		panic("webgpu: a linear layer's weights are not I8")
	case w.format == op.F32 && K%4 != 0:
		o.dev.Fail(fmt.Errorf("webgpu: a product with a float32 matrix of shape %v: got %d inputs, want a multiple of 4", w.shape, K))
	case args.Int8:
		source, norm = o.round(args.X, norm, gateUp), nil
	case norm != nil:
		source, gain, x, eps = o.whole(norm.H), o.whole(norm.Gain), o.whole(norm.X), float32(norm.Epsilon())
	}
	v := variant{format: w.format, group: w.group, norm: norm != nil, int8: args.Int8, add: addend != nil}
	if addend != nil {
		op.Check("linear: addend", addend.shape, n, R)
		if o.whole(addend) == o.whole(y) {
			v.inPlace, addend = true, nil
		}
	}
	for _, p := range w.parts {
		params := wgsl.LinearParams{
			N: uint32(n), Width: uint32(K), Stride: w.stride(), Rows: uint32(p.rows), First: uint32(p.first), Total: uint32(R),
			BlockRows: w.blockRows(), Absmean: flag(w.absmean), Eps: eps,
		}
		o.product(wgsl.LinearVector, wgsl.LinearMatrix, v, gpu.Params(&params), n, ceil(p.rows, 4), w.stride(),
			source, gain, p.buffer, w.scalesOf(p), o.whole(addend), x, o.whole(y))
	}
}

// round returns the rows x (n, K) as a product with Int8 reads them: whole numbers, followed by each row's divisor. norm, if
// not nil, is applied first; with gateUp, its input is the SquaredReLU of gateUp.
func (o *Ops) round(x *Tensor, norm *op.RMSNorm[*Tensor], gateUp *gpu.Buffer) *gpu.Buffer {
	n, K := rowsOf(x)
	rounded := o.scratch("rounded", n*K+n)
	params := wgsl.LinearRoundParams{N: uint32(n), Width: uint32(K)}
	if norm == nil {
		o.dispatch(variant{kernel: wgsl.LinearRound}, gpu.Params(&params), n, 1, o.whole(x), nil, nil, rounded)
		return rounded
	}
	params.Eps = float32(norm.Epsilon())
	v := variant{kernel: wgsl.LinearRound, norm: true}
	source := o.whole(norm.H)
	switch {
	case gateUp != nil:
		v.squared, source = true, gateUp
	case source == o.whole(norm.X):
		v.inPlace, source = true, nil
	}
	o.dispatch(v, gpu.Params(&params), n, 1, source, o.whole(norm.Gain), o.whole(norm.X), rounded)
	return rounded
}

func (o *Ops) linearBackward(args *op.LinearBackward[*Tensor]) {
	dx, dw, dy, x, w := args.DX, args.DW, args.DY, args.X, args.W
	n, K := rowsOf(x)
	R := w.shape[0]
	params := wgsl.LinearBackwardParams{
		N: uint32(n), Width: uint32(K), Stride: w.stride(), Total: uint32(R), BlockRows: w.blockRows(), Absmean: flag(w.absmean),
	}
	for _, p := range w.parts {
		params.Rows, params.First = uint32(p.rows), uint32(p.first)
		o.dispatch(variant{kernel: wgsl.LinearDX, format: w.format, group: w.group}, gpu.Params(&params), ceil(K, tileRows), ceil(n, tileRows),
			o.whole(dy), o.whole(x), p.buffer, w.scalesOf(p), o.whole(dx), nil)
	}
	if dw == nil {
		return
	}
	source := o.whole(x)
	if args.Int8 {
		source = o.round(x, nil, nil)
	}
	params.Absmean = flag(w.absmean || w.group > 0 || w.format != op.Ternary) // there is no γ to divide by
	for _, p := range dw.parts {
		params.Rows, params.First = uint32(p.rows), uint32(p.first)
		o.dispatch(variant{kernel: wgsl.LinearDW, format: w.format, int8: args.Int8}, gpu.Params(&params), ceil(K, tileRows), ceil(p.rows, tileRows),
			o.whole(dy), source, nil, w.scales, nil, p.buffer)
	}
}

func (o *Ops) quantize(args *op.Quantize[*Tensor]) {
	q := args.Q
	if q.group > 0 {
		o.quantizeGroups(args)
		return
	}
	if args.RowBlocks == nil {
		o.quantizeBlocks(args, o.quantizeSums(q.blocks), wgsl.QuantizeParams{BlockRows: q.blockRows(), Scales: 1}, 0, q.shape[0], q.blocks)
		return
	}
	sums := o.quantizeSums(len(args.RowBlocks))
	first := 0
	for b, rows := range args.RowBlocks {
		o.quantizeBlocks(args, sums, wgsl.QuantizeParams{BlockRows: uint32(rows), Block: uint32(b), Scale: uint32(first), Scales: uint32(rows)}, first, rows, 1)
		first += rows
	}
}

// quantizeSums returns zeroed scratch memory for the sums of blocks.
func (o *Ops) quantizeSums(blocks int) *gpu.Buffer {
	sums := o.scratch("sums of magnitudes", wgsl.QuantizeWords*blocks)
	o.clear(sums, 4*wgsl.QuantizeWords*blocks)
	return sums
}

// quantizeBlocks packs `rows` rows from `first` on, in blocks of one size.
func (o *Ops) quantizeBlocks(args *op.Quantize[*Tensor], sums *gpu.Buffer, params wgsl.QuantizeParams, first, rows, blocks int) {
	q, w := args.Q, args.W
	params.Width, params.Words, params.HalfEven = uint32(q.shape[1]), q.stride()*loadBytes/4, flag(args.HalfEven)
	if each := int(params.BlockRows) * q.shape[1]; each > math.MaxInt32 {
		o.dev.Fail(fmt.Errorf("webgpu: Quantize: got %d weights with one γ, want at most %d", each, math.MaxInt32))
	}
	for _, p := range w.parts {
		from, n := overlap(first, rows, p.first, p.rows)
		if n == 0 {
			continue
		}
		params.Rows, params.First, params.WRow = uint32(n), uint32(from-first), uint32(from-p.first)
		o.dispatch(variant{kernel: wgsl.QuantizeRows}, gpu.Params(&params), n, 1, p.buffer, sums, q.scales, nil)
	}
	o.dispatch(variant{kernel: wgsl.QuantizeGamma}, gpu.Params(&params), blocks, 1, nil, sums, q.scales, nil)
	eachOverlap(w, q, func(from, to part, at, n int) {
		if at, n = overlap(first, rows, at, n); n == 0 {
			return
		}
		params.Rows, params.First = uint32(n), uint32(at-first)
		params.WRow, params.QRow = uint32(at-from.first), uint32(at-to.first)
		o.each(variant{kernel: wgsl.QuantizeCodes}, gpu.Params(&params), n*int(params.Words), from.buffer, sums, q.scales, to.buffer)
	})
}

func (o *Ops) quantizeGroups(args *op.Quantize[*Tensor]) {
	q := args.Q
	params := wgsl.QuantizeGroupsParams{Width: uint32(q.shape[1]), Words: q.stride() * loadBytes / 4, Group: uint32(q.group)}
	eachOverlap(args.W, q, func(from, to part, at, n int) {
		params.Rows, params.WRow, params.QRow = uint32(n), uint32(at-from.first), uint32(at-to.first)
		o.each(variant{kernel: wgsl.QuantizeGroups}, gpu.Params(&params), n*ceil(q.shape[1]/q.group, 2), from.buffer, to.scales, to.buffer)
	})
}

// overlap returns where two ranges of rows overlap, and by how many rows.
func overlap(first, rows, other, others int) (from, n int) {
	from = max(first, other)
	return from, max(min(first+rows, other+others)-from, 0)
}

// eachOverlap calls do for each range of rows that lies in one part of w and one part of q: n rows starting at row at.
func eachOverlap(w, q *Tensor, do func(from, to part, at, n int)) {
	for _, from := range w.parts {
		for _, to := range q.parts {
			if at, n := overlap(from.first, from.rows, to.first, to.rows); n > 0 {
				do(from, to, at, n)
			}
		}
	}
}
