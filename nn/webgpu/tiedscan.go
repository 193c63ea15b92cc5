package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// maxStepKey is the width up to which a token's key fits into workgroup memory, of which WebGPU guarantees 16 KiB.
const maxStepKey = 3072

// spanOf returns how many tokens of a scan share one state. For the minibatch rule that is the chunk. The exact rule is free
// to choose: as many as a tile holds, but so that chunks end where spans end if the state before each chunk is kept.
func spanOf(s op.Scan, kept bool) int {
	if s.Minibatch {
		return s.Chunk
	}
	if !kept {
		return wgsl.TileTokens
	}
	span := min(s.Chunk, wgsl.TileTokens)
	for s.Chunk%span != 0 {
		span--
	}
	return span
}

// tiles returns how many tiles a sequence of `length` tokens has.
func tiles(length, span int) int { return ceil(length, span) * ceil(span, wgsl.TileTokens) }

func (o *Ops) tiedScan(args *op.TiedScan[*Tensor]) {
	z, f, state, starts, s := args.Z, args.F, args.State, args.Starts, args.Scan
	n, d := rowsOf(f)
	B := sequencesOf(state, args.Slots)
	T := n / B
	params := wgsl.TiedScanParams{
		Width: uint32(d), Time: uint32(T), Length: uint32(T), Span: uint32(spanOf(s, starts != nil)), Keep: uint32(s.Chunk),
		Minibatch: flag(s.Minibatch), Rate: s.Rate,
	}
	if T == 1 && starts == nil && args.Documents == nil && d <= maxStepKey {
		rows := 4 * int(o.workgroup) / 16
		o.dispatchGrid(variant{kernel: wgsl.TiedStep, key: uint32(d), slots: args.Slots != nil}, gpu.Params(&params), uint32(ceil(d, rows)), uint32(B), 1,
			o.whole(f), nil, nil, o.whole(state), nil, o.whole(z), o.whole(args.Slots))
		return
	}
	v := variant{slots: args.Slots != nil, packed: args.Documents != nil}
	o.scanTied(v, params, B, o.whole(f), o.whole(z), o.whole(state), o.whole(starts), o.listed(args.Slots, args.Documents))
}

// scanTied records the scan of `sequences` sequences; v says whether slots is a list of slots or documents. Keys and their
// products stay in scratch memory.
func (o *Ops) scanTied(v variant, p wgsl.TiedScanParams, sequences int, f, z, state, starts, slots *gpu.Buffer) {
	d := int(p.Width)
	n := f.Size() / 4 / d
	keys, products := o.scratch("keys", n*d), o.scratch("products", n*wgsl.TileTokens)
	buffers := []*gpu.Buffer{f, keys, products, state, starts, z, slots}
	o.dispatchGrid(variant{kernel: wgsl.TiedKeys, packed: v.packed}, gpu.Params(&p), uint32(tiles(int(p.Length), int(p.Span))), uint32(sequences), 1, buffers...)
	v.kernel, v.keep = wgsl.TiedScan, starts != nil
	o.dispatchGrid(v, gpu.Params(&p), uint32(ceil(d, wgsl.ScanSlab)), uint32(sequences), 1, buffers...)
}

// tiedScanBackward first reruns all chunks at once, each from the state at its start. The gradient of the state then goes
// from the last span to the first, and the gradients of the keys follow, again all at once.
func (o *Ops) tiedScanBackward(args *op.TiedScanBackward[*Tensor]) {
	df, dz, f, starts, s := args.DF, args.DZ, args.F, args.Starts, args.Scan
	n, d := rowsOf(f)
	B := starts.shape[0]
	T := n / B
	chunks := ceil(T, s.Chunk)
	span := spanOf(s, true)
	params := wgsl.TiedScanParams{
		Width: uint32(d), Time: uint32(T), Length: uint32(s.Chunk), Span: uint32(span), Keep: uint32(span),
		Minibatch: flag(s.Minibatch), Rate: s.Rate,
	}
	z := o.scratch("predictions", n*d)
	again, states := o.restart(starts, op.Count(starts.shape), B*ceil(T, span)*d*d, span < s.Chunk)
	packed := args.Documents != nil
	o.scanTied(variant{packed: packed}, params, B*chunks, o.whole(f), z, again, states, o.whole(args.Documents))
	if states == nil {
		states = o.whole(starts)
	}
	spans := B * ceil(T, span)
	dstates, dr := o.scratch("gradients of states", spans*d*d), o.scratch("gradients of errors", n*d)
	o.clear(dstates, 4*spans*d*d)
	params.Length = uint32(T)
	buffers := []*gpu.Buffer{o.scratch("keys", n*d), o.scratch("products", n*wgsl.TileTokens), z, o.whole(dz), states, dstates, dr, o.whole(df)}
	o.dispatchGrid(variant{kernel: wgsl.TiedReverse, packed: packed}, gpu.Params(&params), uint32(ceil(d, wgsl.ScanSlab)), uint32(B), 1, buffers...)
	o.dispatchGrid(variant{kernel: wgsl.TiedInputs, packed: packed}, gpu.Params(&params), uint32(tiles(T, span)), uint32(B), uint32(ceil(d, wgsl.ScanColumns)), buffers...)
	unit := wgsl.UnitParams{N: uint32(n), Width: uint32(d)}
	o.dispatch(variant{kernel: wgsl.UnitBackward}, gpu.Params(&unit), n, 1, o.whole(f), o.whole(df))
}

// restart copies the states at the starts of the chunks, for a scan to update. Where chunks have several spans (between), it
// also makes room for the states between those, `all` numbers.
func (o *Ops) restart(starts *Tensor, count, all int, between bool) (again, states *gpu.Buffer) {
	again = o.scratch("states", count)
	if between {
		states = o.scratch("states between", all)
	}
	o.copy(again, 0, o.whole(starts), 4*count)
	return again, states
}
