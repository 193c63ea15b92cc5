package webgpu

import (
	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// wideVocab is the number of logits from which more threads share a row.
const wideVocab = 8192

func (o *Ops) sample(args *op.Sample[*Tensor]) { o.draw(args, nil) }

// draw records a Sample, together with the Embed of its tokens if one follows.
func (o *Ops) draw(args *op.Sample[*Tensor], embed *op.Embed[*Tensor]) {
	B, V := rowsOf(args.Logits)
	params := wgsl.SampleParams{Vocab: uint32(V), Columns: uint32(args.Out.shape[1])}
	v := variant{kernel: wgsl.Sample}
	if V >= wideVocab {
		v.workgroup = 256
	}
	var weights, scales, h *gpu.Buffer
	if embed != nil {
		table := embed.Table
		v.embed, v.format, v.group = true, table.format, table.group
		weights, scales, h = table.parts[0].buffer, table.scalesOf(table.parts[0]), o.whole(embed.H)
		params.Width, params.Stride = uint32(table.shape[1]), table.stride()
		params.BlockRows, params.Absmean = table.blockRows(), flag(table.absmean)
	}
	o.dispatch(v, gpu.Params(&params), B, 1, o.whole(args.Logits), o.whole(args.Recent), o.whole(args.Next), o.whole(args.Out),
		o.whole(args.Rules), weights, scales, h)
}
