package webgpu

import (
	"fmt"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

func (o *Ops) rope(args *op.RoPE[*Tensor]) {
	n, wide := rowsOf(args.QKV)
	L, time := args.Keys.shape[1], n/sequencesOf(args.Keys, args.Slots)
	params := wgsl.RoPEParams{
		N: uint32(n), Time: uint32(time), Wide: uint32(wide), Heads: uint32(args.Heads), KVHeads: uint32(args.KVHeads),
		Head: uint32(args.Keys.shape[2] / args.KVHeads), Turned: uint32(args.Angles.shape[1]), Length: uint32(L), Eps: float32(args.Eps),
	}
	if args.QGain != nil {
		params.Normed |= wgsl.NormQueries
	}
	if args.KGain != nil {
		params.Normed |= wgsl.NormKeys
	}
	if args.Keys.format == op.F16 && params.Head%2 != 0 {
		o.dev.Fail(fmt.Errorf("webgpu: keys of width %d in float16: want an even number", params.Head))
		return
	}
	for i, p := range args.Keys.parts { // slots
		params.First, params.Count = uint32(p.first), uint32(p.rows)
		o.dispatch(variant{kernel: wgsl.RoPE, half: args.Keys.format == op.F16, slots: args.Slots != nil}, gpu.Params(&params), n, args.Heads+2*args.KVHeads,
			o.whole(args.QKV), o.whole(args.QGain), o.whole(args.KGain), o.whole(args.Angles), o.whole(args.Position), p.buffer, args.Values.parts[i].buffer, o.whole(args.Slots))
	}
}

func (o *Ops) advance(args *op.Advance[*Tensor]) {
	params := wgsl.AdvanceParams{N: uint32(args.N)}
	o.dispatchGrid(variant{kernel: wgsl.Advance, slots: args.Slots != nil}, gpu.Params(&params), uint32(sequencesOf(args.Position, args.Slots)), 1, 1,
		o.whole(args.Position), o.whole(args.Slots))
}
