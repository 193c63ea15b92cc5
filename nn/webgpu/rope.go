package webgpu

import (
	"fmt"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) rope(args *op.RoPE[*Tensor]) {
	n, stride := rowsOf(args.QKV)
	L, time := args.Keys.shape[1], n/sequencesOf(args.Keys, args.Slots)
	params := wgsl.RoPEParams{
		N: uint32(n), Time: uint32(time), QKVStride: uint32(stride), Heads: uint32(args.Heads), KVHeads: uint32(args.KVHeads),
		Head: uint32(args.Keys.shape[2] / args.KVHeads), Turned: uint32(args.Angles.shape[1]), Length: uint32(L), Eps: float32(args.Eps),
	}
	params.Normed = normed(args.QGain, args.KGain)
	if args.Keys.format == op.F16 && params.Head%2 != 0 {
		o.dev.Fail(fmt.Errorf("webgpu: keys of width %d in float16: want an even number", params.Head))
		return
	}
	if args.Raw != nil {
		o.dispatch(variant{kernel: wgsl.RoPERaw}, gpu.Params(&params), n, args.Heads+args.KVHeads, o.whole(args.QKV), o.whole(args.Raw))
	}
	for i, p := range args.Keys.parts { // slots
		params.First, params.Count = uint32(p.first), uint32(p.rows)
		o.dispatch(variant{kernel: wgsl.RoPE, half: args.Keys.format == op.F16, slots: args.Slots != nil, packed: args.Documents != nil}, gpu.Params(&params), n, args.Heads+2*args.KVHeads,
			o.whole(args.QKV), o.whole(args.QGain), o.whole(args.KGain), o.whole(args.Angles), o.whole(args.Position), p.buffer, args.Values.parts[i].buffer, o.listed(args.Slots, args.Documents))
	}
}

// normed says which heads have a norm, in the encoding of RoPEParams.
func normed(query, key *Tensor) (which uint32) {
	if query != nil {
		which |= wgsl.NormQueries
	}
	if key != nil {
		which |= wgsl.NormKeys
	}
	return which
}

func (o *Ops) ropeBackward(args *op.RoPEBackward[*Tensor]) {
	n, stride := rowsOf(args.DQKV)
	params := wgsl.RoPEBackwardParams{
		N: uint32(n), Time: uint32(n / args.Keys.shape[0]), QKVStride: uint32(stride), Heads: uint32(args.Heads), KVHeads: uint32(args.KVHeads),
		Head: uint32(args.Keys.shape[2] / args.KVHeads), Turned: uint32(args.Angles.shape[1]), Normed: normed(args.QGain, args.KGain), Gains: normed(args.DQGain, args.DKGain), Eps: float32(args.Eps),
	}
	o.dispatch(variant{kernel: wgsl.RoPEBackward, packed: args.Documents != nil}, gpu.Params(&params), n, args.Heads+args.KVHeads,
		o.whole(args.DQKV), o.whole(args.Raw), o.whole(args.QGain), o.whole(args.KGain), o.whole(args.Angles), o.whole(args.Position), o.whole(args.Documents))
	if params.Gains != 0 {
		o.dispatch(variant{kernel: wgsl.HeadGain}, gpu.Params(&params), ceil(int(params.Head), wgsl.ColumnsTogether), 2,
			o.whole(args.Raw), o.whole(args.DQGain), o.whole(args.DKGain))
	}
}

func (o *Ops) advance(args *op.Advance[*Tensor]) {
	params := wgsl.AdvanceParams{N: uint32(args.N)}
	o.dispatchGrid(variant{kernel: wgsl.Advance, slots: args.Slots != nil}, gpu.Params(&params), uint32(sequencesOf(args.Position, args.Slots)), 1, 1,
		o.whole(args.Position), o.whole(args.Slots))
}
