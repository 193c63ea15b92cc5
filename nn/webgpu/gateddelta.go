package webgpu

import (
	"errors"
	"fmt"
	"math"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// gatedShape holds the sizes of a gated delta rule.
type gatedShape struct{ n, B, time, K, V, k, v, channels, inputs, taps int }

// shapeOfGated reads the sizes from projections U, the convolution and states (…, V, v, k). It refuses head sizes that the
// kernels do not support.
func (o *Ops) shapeOfGated(u, conv, states, slots *Tensor, keyHeads int) (gatedShape, bool) {
	n, inputs := rowsOf(u)
	B, last := sequencesOf(states, slots), states.shape[len(states.shape)-3:]
	s := gatedShape{n: n, B: B, time: n / B, K: keyHeads, V: last[0], v: last[1], k: last[2], inputs: inputs, taps: conv.shape[1]}
	s.channels = 2*s.K*s.k + s.V*s.v
	if s.k%4 != 0 || s.k > wgsl.GatedRuleMaxKey {
		o.dev.Fail(fmt.Errorf("webgpu: the gated delta rule with keys of width %d: want a multiple of 4 up to %d", s.k, wgsl.GatedRuleMaxKey))
		return s, false
	}
	return s, true
}

func (s gatedShape) conv() wgsl.GatedConvParams {
	return wgsl.GatedConvParams{
		N: uint32(s.n), Time: uint32(s.time), KeyHeads: uint32(s.K), Key: uint32(s.k), Value: uint32(s.v), Channels: uint32(s.channels),
		Inputs: uint32(s.inputs), Taps: uint32(s.taps), Scale: float32(1 / math.Sqrt(float64(s.k))),
	}
}

// rule returns the parameters for sequences of `length` tokens that keep their state every `keep` tokens.
func (s gatedShape) rule(length, keep int) wgsl.GatedRuleParams {
	return wgsl.GatedRuleParams{
		Heads: uint32(s.V), KeyHeads: uint32(s.K), Key: uint32(s.k), Value: uint32(s.v), Channels: uint32(s.channels),
		Time: uint32(s.time), Length: uint32(length), Span: uint32(keep), Keep: uint32(keep), Section: uint32(s.n * s.V * s.v),
	}
}

// gatedDelta computes the queries, keys and values of all rows, runs the states through them, and ends with norm and gate.
func (o *Ops) gatedDelta(args *op.GatedDelta[*Tensor]) {
	s, ok := o.shapeOfGated(args.U, args.Conv, args.State, args.Slots, args.KeyHeads)
	if !ok {
		return
	}
	slots, listed, packed := o.whole(args.Slots), args.Slots != nil, args.Documents != nil
	conv := s.conv()
	o.dispatch(variant{kernel: wgsl.GatedConv, slots: listed, packed: packed}, gpu.Params(&conv), s.n, 2*s.K+s.V, o.whole(args.U), o.whole(args.Conv), o.whole(args.Tail), o.whole(args.QKV),
		o.listed(args.Slots, args.Documents))
	rule := s.rule(s.time, max(args.Chunk, 1))
	if listed && args.Starts != nil {
		o.dev.Fail(errors.New("webgpu: the gated delta rule: got both slots and starts, want one of them"))
		return
	}
	v, last := variant{kernel: wgsl.GatedRule, slots: listed, packed: packed}, slots
	if args.Starts != nil {
		v, last = variant{kernel: wgsl.GatedRuleKept, keep: true, packed: packed}, o.whole(args.Starts)
	}
	a := o.bordered(args.A, args.Documents)
	o.dispatchGrid(v, gpu.Params(&rule), uint32(ceil(s.v, wgsl.GatedRuleRows)), uint32(s.V), uint32(s.B),
		o.whole(args.QKV), o.whole(args.B), a, o.whole(args.Decay), o.whole(args.Bias), o.whole(args.State), o.whole(args.O), last)
	output := wgsl.GatedOutputParams{
		N: uint32(s.n), Time: uint32(s.time), Heads: uint32(s.V), Value: uint32(s.v), Channels: uint32(s.channels), Inputs: uint32(s.inputs),
		Taps: uint32(s.taps), Eps: float32(args.Eps),
	}
	o.dispatch(variant{kernel: wgsl.GatedOutput, slots: listed}, gpu.Params(&output), s.n, s.V, o.whole(args.U), o.whole(args.Gain), o.whole(args.Tail), o.whole(args.O), slots)
}

// gatedDeltaBackward first reruns all chunks at once, each from the state at its start. The gradient of the state then goes
// from the last tile to the first, and the gradients of everything before the rule follow, again all at once.
func (o *Ops) gatedDeltaBackward(args *op.GatedDeltaBackward[*Tensor]) {
	s, ok := o.shapeOfGated(args.U, args.Conv, args.Starts, nil, args.KeyHeads)
	if !ok {
		return
	}
	rows, size := s.n*s.V*s.v, s.V*s.v*s.k
	span := spanOf(op.Scan{Chunk: args.Chunk}, true)
	tiles := s.B * ceil(s.time, span)
	again, states := o.restart(args.Starts, op.Count(args.Starts.shape), tiles*size, span < args.Chunk)
	work := o.scratch("work", wgsl.GatedWorkSections*rows)
	qkv := o.whole(args.QKV)
	gates := []*gpu.Buffer{o.whole(args.B), o.whole(args.A), o.whole(args.Decay), o.whole(args.Bias)}

	documents, packed := o.whole(args.Documents), args.Documents != nil
	rule, marked := s.rule(args.Chunk, span), o.bordered(args.A, args.Documents)
	o.dispatchGrid(variant{kernel: wgsl.GatedRuleKept, keep: states != nil, error: true, packed: packed}, gpu.Params(&rule),
		uint32(ceil(s.v, wgsl.GatedRuleRows)), uint32(s.V), uint32(s.B*args.Starts.shape[1]),
		qkv, gates[0], marked, gates[2], gates[3], again, work, states)
	if states == nil {
		states = o.whole(args.Starts)
	}
	output := wgsl.GatedOutputBackwardParams{
		N: uint32(s.n), Heads: uint32(s.V), Value: uint32(s.v), Channels: uint32(s.channels), Inputs: uint32(s.inputs),
		Gains: normed(args.DGain, nil), Eps: float32(args.Eps),
	}
	o.dispatch(variant{kernel: wgsl.GatedOutputBackward}, gpu.Params(&output), s.n, s.V, o.whole(args.DO), o.whole(args.U), o.whole(args.Gain), work, o.whole(args.DU))
	o.addRows(args.DGain, o.whole(args.DO), s.n, s.V)

	products, known := o.scratch("products", s.n*s.K*2*wgsl.TileTokens), o.scratch("gates", 4*s.n*s.V)
	pairs := wgsl.GatedProductsParams{
		Heads: uint32(s.V), KeyHeads: uint32(s.K), Key: uint32(s.k), Channels: uint32(s.channels),
		Time: uint32(s.time), Length: uint32(s.time), Span: uint32(span), Keep: uint32(span),
	}
	o.dispatchGrid(variant{kernel: wgsl.GatedProducts, packed: packed}, gpu.Params(&pairs), uint32(ceil(s.time, span)), uint32(s.B*s.K), 1,
		qkv, gates[0], gates[1], gates[2], gates[3], products, known, documents)

	dstates, dqkv, dgates := o.scratch("gradients of states", tiles*size), o.scratch("gradients of keys, queries, values", s.n*s.channels), o.scratch("gradients of gates", 2*s.n*s.V)
	o.clear(dstates, 4*tiles*size)
	back := s.rule(s.time, span)
	buffers := []*gpu.Buffer{qkv, products, known, states, dstates, work, dqkv, dgates}
	o.dispatchGrid(variant{kernel: wgsl.GatedReverse, packed: packed}, gpu.Params(&back), uint32(ceil(s.v, wgsl.ScanSlab)), uint32(s.B*s.V), 1, buffers...)
	o.dispatchGrid(variant{kernel: wgsl.GatedInputs, packed: packed}, gpu.Params(&back), uint32(ceil(s.time, span)), uint32(s.B*s.K), 1, buffers...)
	slopes, dlog := wgsl.GatedSlopesParams{N: uint32(s.n), Heads: uint32(s.V)}, o.scratch("gradients of decays", s.n*s.V)
	o.each(variant{kernel: wgsl.GatedSlopes}, gpu.Params(&slopes), s.n*s.V, dgates, gates[0], gates[1], gates[2], gates[3], o.whole(args.DB), o.whole(args.DA), dlog)
	o.addRows(args.DBias, o.whole(args.DA), s.n, 1)
	o.addRows(args.DLogDecay, dlog, s.n, 1)

	conv := s.conv()
	buffers = []*gpu.Buffer{o.whole(args.U), o.whole(args.Conv), dqkv, o.whole(args.DU), documents}
	o.dispatch(variant{kernel: wgsl.GatedConvActivation, packed: packed}, gpu.Params(&conv), s.n, 2*s.K+s.V, buffers...)
	o.each(variant{kernel: wgsl.GatedConvInputs, packed: packed}, gpu.Params(&conv), s.n*s.channels, buffers...)
	if args.DConv != nil {
		o.dispatch(variant{kernel: wgsl.GatedConvTaps, packed: packed}, gpu.Params(&conv), ceil(s.channels, wgsl.ColumnsTogether), ceil(s.taps, 4),
			o.whole(args.U), dqkv, o.whole(args.DConv), documents)
	}
}

// addRows adds to sum (c), unless it is nil, all heads of n rows (n, heads·c).
func (o *Ops) addRows(sum *Tensor, rows *gpu.Buffer, n, heads int) {
	if sum == nil {
		return
	}
	c := sum.shape[0]
	params := wgsl.RoPEBackwardParams{N: uint32(n), Heads: uint32(heads), Head: uint32(c), Gains: wgsl.NormQueries}
	o.dispatch(variant{kernel: wgsl.HeadGain}, gpu.Params(&params), ceil(c, wgsl.ColumnsTogether), 1, rows, o.whole(sum), nil)
}
