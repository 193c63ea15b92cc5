package webgpu

import (
	"fmt"
	"math"
	"math/bits"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// A token's keys are taken in up to mostParts parts, by a workgroup each, where the cache has room for as many times partKeys: the
// few heads of keys alone leave most of a GPU idle. Where it is read at its beginning, all but some parts end at once.
const (
	mostParts = 16
	partKeys  = 256
)

func (o *Ops) attention(args *op.Attention[*Tensor]) {
	n, stride := rowsOf(args.QKV)
	B, L, c := sequencesOf(args.Keys, args.Slots), args.Keys.shape[1], args.Keys.shape[2]/args.KVHeads
	if !o.attends(args.Heads, args.KVHeads, c) {
		return
	}
	time := n / B
	queries := time * args.Heads / args.KVHeads // that share a head of keys
	params := wgsl.AttentionParams{
		Time: uint32(time), QKVStride: uint32(stride), Heads: uint32(args.Heads), KVHeads: uint32(args.KVHeads), Head: uint32(c), Length: uint32(L),
		Gate: flag(args.Gate), Scale: float32(1 / math.Sqrt(float64(c))),
	}
	v := variant{kernel: wgsl.Attention, queries: 8, half: args.Keys.format == op.F16, head: 1 << bits.Len(uint(c/4-1)), slots: args.Slots != nil, packed: args.Documents != nil}
	if queries <= 4 {
		v.queries = 4
	}
	parts := 1
	if time == 1 {
		parts = max(1, min(L/partKeys, mostParts)) // whatever B is, so that a row is the same alone
	}
	out := o.whole(args.O)
	if v.split = parts > 1; v.split {
		out = o.scratch("attention to parts", n*args.Heads*parts*(c+2))
	}
	params.Parts = uint32(parts)
	for i, p := range args.Keys.parts { // slots
		params.First, params.Count = uint32(p.first), uint32(p.rows)
		o.dispatch(v, gpu.Params(&params), ceil(queries, int(v.queries))*parts, B*args.KVHeads,
			o.whole(args.QKV), p.buffer, args.Values.parts[i].buffer, o.whole(args.Position), out, o.listed(args.Slots, args.Documents))
	}
	if v.split {
		join := wgsl.AttentionJoinParams{
			N: uint32(n), QKVStride: uint32(stride), Heads: uint32(args.Heads), Head: uint32(c), Parts: uint32(parts), Gate: flag(args.Gate),
		}
		o.each(variant{kernel: wgsl.AttentionJoin}, gpu.Params(&join), n*args.Heads*c/4, o.whole(args.QKV), out, o.whole(args.O))
	}
}

// attends refuses heads that the kernels are not made for.
func (o *Ops) attends(heads, kvHeads, c int) bool {
	if c%4 == 0 && c <= wgsl.AttentionMaxHead && heads%kvHeads == 0 {
		return true
	}
	o.dev.Fail(fmt.Errorf("webgpu: attention with %d heads of width %d over %d heads of keys: got a width that is no multiple of 4 up to %d, or heads that are no multiple of those of keys",
		heads, c, kvHeads, wgsl.AttentionMaxHead))
	return false
}

// attentionBackward makes what is known of each row of scores, and from that the scores again, a block at a time, once for the
// queries and once for keys and values.
func (o *Ops) attentionBackward(args *op.AttentionBackward[*Tensor]) {
	n, stride := rowsOf(args.QKV)
	B, c := args.Keys.shape[0], args.Keys.shape[2]/args.KVHeads
	if !o.attends(args.Heads, args.KVHeads, c) {
		return
	}
	time := n / B
	params := wgsl.AttentionBackwardParams{
		Time: uint32(time), QKVStride: uint32(stride / 4), Heads: uint32(args.Heads), KVHeads: uint32(args.KVHeads), Quads: uint32(c / 4),
		Gate: flag(args.Gate), Scale: float32(1 / math.Sqrt(float64(c))),
	}
	queries := ceil(time*args.Heads/args.KVHeads, wgsl.AttentionBlock)
	buffers := []*gpu.Buffer{o.whole(args.QKV), o.whole(args.DO), o.scratch("rows of scores", 4*n*args.Heads), o.whole(args.DQKV), o.whole(args.Documents)}
	packed := args.Documents != nil
	o.dispatch(variant{kernel: wgsl.AttentionRows, packed: packed}, gpu.Params(&params), queries, B*args.KVHeads, buffers...)
	o.dispatch(variant{kernel: wgsl.AttentionQueries, packed: packed}, gpu.Params(&params), queries, B*args.KVHeads, buffers...)
	o.dispatch(variant{kernel: wgsl.AttentionKeys, packed: packed}, gpu.Params(&params), ceil(time, wgsl.AttentionBlock), B*args.KVHeads, buffers...)
}
