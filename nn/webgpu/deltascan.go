package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// deltaShape holds the sizes of a delta scan.
type deltaShape struct{ n, B, T, d, h, c int }

// shapeOfDelta reads the sizes from rows of outputs, the gain of the norm, and a tensor with one entry per sequence: the
// states, or the slots.
func shapeOfDelta(rows, gain, each, slots *Tensor) deltaShape {
	n, d := rowsOf(rows)
	B, c := sequencesOf(each, slots), gain.shape[0]
	return deltaShape{n, B, n / B, d, d / c, c}
}

func (s deltaShape) params(length, span, keep int) wgsl.DeltaScanParams {
	return wgsl.DeltaScanParams{
		Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: uint32(s.T),
		Length: uint32(length), Span: uint32(span), Keep: uint32(keep),
	}
}

func (o *Ops) deltaScan(args *op.DeltaScan[*Tensor]) {
	out, u, b, conv, gain, state, tail, kqv, read, starts, chunk := args.O, args.U, args.Beta, args.Conv, args.Gain, args.State,
		args.Tail, args.KQV, args.Answers, args.Starts, args.Chunk
	eps := float32(op.Epsilon(args.Eps))
	s, slots, listed, packed := shapeOfDelta(out, gain, state, args.Slots), o.listed(args.Slots, args.Documents), args.Slots != nil, args.Documents != nil
	alone := s.T == 1 && fusesStep(args)
	if alone && o.binds(wgsl.DeltaToken) {
		params := wgsl.DeltaTokenParams{Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: 1, Tail: 1, N: uint32(s.n), Eps: eps}
		o.dispatch(variant{kernel: wgsl.DeltaToken, slots: listed}, gpu.Params(&params), s.n, s.h,
			o.whole(u), o.whole(b), o.whole(conv), o.whole(gain), o.whole(kqv), o.whole(state), o.whole(tail), o.whole(read), o.whole(out), slots)
		return
	}
	convParams := wgsl.DeltaConvParams{Width: uint32(s.d), Head: uint32(s.c), Time: uint32(s.T), Tail: flag(!packed), Keep: flag(alone), N: uint32(s.n)}
	o.dispatch(variant{kernel: wgsl.DeltaConv, slots: listed, packed: packed}, gpu.Params(&convParams), s.n, 3*s.h,
		o.whole(u), o.whole(conv), o.whole(tail), o.whole(kqv), slots)
	if alone {
		params := wgsl.DeltaStepParams{Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), N: uint32(s.n), Eps: eps}
		o.dispatch(variant{kernel: wgsl.DeltaStep, slots: listed}, gpu.Params(&params), s.n, s.h,
			o.whole(b), o.whole(kqv), o.whole(gain), o.whole(state), o.whole(read), o.whole(out), slots)
		return
	}
	span := spanOf(op.Scan{Chunk: chunk}, starts != nil)
	o.scanDelta(variant{slots: listed, packed: packed}, s, s.params(s.T, span, chunk), s.B, o.whole(b), o.whole(kqv), o.whole(state), o.whole(starts), o.whole(read), nil, slots)
	output := wgsl.DeltaOutputParams{Width: uint32(s.d), Head: uint32(s.c), Time: uint32(s.T), N: uint32(s.n), Eps: eps}
	o.dispatch(variant{kernel: wgsl.DeltaOutput, slots: listed}, gpu.Params(&output), s.n, s.h,
		o.whole(u), o.whole(gain), o.whole(tail), o.whole(read), o.whole(out), o.whole(args.Slots))
}

// stepAndScan records a StepSize and the DeltaScan of one token that follows it as one dispatch.
func (o *Ops) stepAndScan(step *op.StepSize[*Tensor], scan *op.DeltaScan[*Tensor]) {
	s := shapeOfDelta(scan.O, scan.Gain, scan.State, scan.Slots)
	params := wgsl.DeltaDecodeParams{
		Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: 1, Tail: 1, N: uint32(s.n), Stream: uint32(step.X.shape[1]),
		Eps: float32(op.Epsilon(scan.Eps)),
	}
	o.dispatch(variant{kernel: wgsl.DeltaDecode, slots: scan.Slots != nil}, gpu.Params(&params), s.n, s.h,
		o.whole(step.X), o.whole(step.W), o.whole(step.Bias), o.whole(scan.U), o.whole(scan.Conv), o.whole(scan.Gain), o.whole(step.Beta),
		o.whole(scan.KQV), o.whole(scan.State), o.whole(scan.Tail), o.whole(scan.Answers), o.whole(scan.O), o.whole(scan.Slots))
}

// scanDelta records the rule for `sequences` sequences. errors, optional, receives E; v says whether slots is a list of slots
// or documents. The products of the keys stay in scratch memory.
func (o *Ops) scanDelta(v variant, s deltaShape, p wgsl.DeltaScanParams, sequences int, b, kqv, state, starts, read, errors, slots *gpu.Buffer) {
	products := o.scratch("products", s.n*s.h*2*wgsl.TileTokens)
	buffers := []*gpu.Buffer{b, kqv, products, state, starts, read, errors, slots}
	o.dispatchGrid(variant{kernel: wgsl.DeltaProducts, packed: v.packed}, gpu.Params(&p), uint32(tiles(int(p.Length), int(p.Span))), uint32(sequences*s.h), 1, buffers...)
	v.kernel, v.keep, v.error = wgsl.DeltaScan, starts != nil, errors != nil
	o.dispatchGrid(v, gpu.Params(&p),
		uint32(ceil(s.c, wgsl.ScanSlab)), uint32(sequences*s.h), 1, buffers...)
}

// deltaScanBackward first reruns all chunks at once, each from the state at its start. The gradient of the state then goes
// from the last span to the first, and the gradients of keys, queries, values and steps follow, again all at once.
func (o *Ops) deltaScanBackward(args *op.DeltaScanBackward[*Tensor]) {
	du, db, dconv, dgain, do, u, b, conv, gain, kqv, read, starts, chunk := args.DU, args.DBeta, args.DConv, args.DGain, args.DO,
		args.U, args.Beta, args.Conv, args.Gain, args.KQV, args.Answers, args.Starts, args.Chunk
	s := shapeOfDelta(do, gain, starts, nil)
	chunks := ceil(s.T, chunk)
	rows := s.n * s.d
	work, dread := o.scratch("work", wgsl.DeltaWorkSections*rows), o.scratch("gradients of answers", rows)
	o.clear(dread, 4*rows)
	o.normBackward(s.n*s.h, s.c, op.Epsilon(args.Eps), dread, o.whole(dgain), o.whole(do), o.whole(read), o.whole(gain))
	o.copy(work, 4*rows*wgsl.DeltaWorkDZ, dread, 4*rows)

	span := spanOf(op.Scan{Chunk: chunk}, true)
	spans, cc := s.B*ceil(s.T, span)*s.h, s.c*s.c
	again, states := o.restart(starts, op.Count(starts.shape), spans*cc, span < chunk)
	errors := o.scratch("errors", rows)
	documents, packed := o.whole(args.Documents), args.Documents != nil
	o.scanDelta(variant{packed: packed}, s, s.params(chunk, span, span), s.B*chunks, o.whole(b), o.whole(kqv), again, states, o.scratch("predictions", rows), errors, documents)
	o.copy(work, 4*rows*wgsl.DeltaWorkE, errors, 4*rows)
	if states == nil {
		states = o.whole(starts)
	}
	dstates, dkqv := o.scratch("gradients of states", spans*cc), o.scratch("gradients of keys, queries, values", 3*rows)
	o.clear(dstates, 4*spans*cc)
	params := wgsl.DeltaBackwardParams{
		Width: uint32(s.d), Head: uint32(s.c), Heads: uint32(s.h), Time: uint32(s.T), Length: uint32(s.T), Span: uint32(span), Keep: uint32(span),
		Section: uint32(rows),
	}
	buffers := []*gpu.Buffer{o.whole(b), o.whole(kqv), o.scratch("products", s.n*s.h*2*wgsl.TileTokens), states, dstates, work, dkqv, o.whole(db)}
	heads := uint32(s.B * s.h)
	o.dispatchGrid(variant{kernel: wgsl.DeltaReverse, packed: packed}, gpu.Params(&params), uint32(ceil(s.c, wgsl.ScanSlab)), heads, 1, buffers...)
	o.dispatchGrid(variant{kernel: wgsl.DeltaInputs, packed: packed}, gpu.Params(&params), uint32(tiles(s.T, span)), heads, uint32(ceil(s.c, wgsl.ScanColumns)), buffers...)

	convParams := wgsl.DeltaConvBackwardParams{Width: uint32(s.d), Head: uint32(s.c), Time: uint32(s.T), N: uint32(s.n)}
	buffers = []*gpu.Buffer{o.whole(u), o.whole(conv), nil, dkqv, o.whole(du), o.whole(dconv), documents}
	o.dispatch(variant{kernel: wgsl.DeltaConvActivation, packed: packed}, gpu.Params(&convParams), s.n, 3*s.h, buffers...)
	o.each(variant{kernel: wgsl.DeltaConvInputs, packed: packed}, gpu.Params(&convParams), 3*rows, buffers...)
	if dconv == nil {
		return
	}
	o.dispatch(variant{kernel: wgsl.DeltaConvTaps, packed: packed}, gpu.Params(&convParams), ceil(3*s.d, wgsl.ColumnsTogether), 1, buffers...)
}
