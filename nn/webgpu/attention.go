package webgpu

import (
	"fmt"
	"math"
	"math/bits"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// A single token's keys are split into up to mostParts parts, each for a workgroup of its own, if the cache has room for that
// many times partKeys: with few key heads, one workgroup per head would leave most of a GPU idle. While the cache is nearly
// empty, the parts without keys end at once.
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
	queries := time * args.Heads / args.KVHeads // that share a key head
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
		parts = max(1, min(L/partKeys, mostParts)) // independent of B, so that a row gets the same result alone
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

// attends refuses head sizes that the kernels do not support.
func (o *Ops) attends(heads, kvHeads, c int) bool {
	if c%4 == 0 && c <= wgsl.AttentionMaxHead && heads%kvHeads == 0 {
		return true
	}
	o.dev.Fail(fmt.Errorf("webgpu: attention with %d heads of width %d over %d heads of keys: got a width that is no multiple of 4 up to %d, or heads that are no multiple of those of keys",
		heads, c, kvHeads, wgsl.AttentionMaxHead))
	return false
}

// attentionBackward first computes the softmax's maximum and sums for each row of scores. It then recomputes the scores from
// them, block by block, once for the queries and once for keys and values.
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
