package webgpu

import (
	"math"

	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

// wideVocab is from how many logits on more threads than usual look at a row.
const wideVocab = 8192

// draw is a Sample that is not recorded yet; logits is nil where there is none.
type draw struct {
	next, out, recent, logits *Tensor
	rule                      nn.Sampling
}

func (o *Ops) Sample(next, out, recent, logits *Tensor, s nn.Sampling) {
	o.settle()
	B := logits.shape[0]
	nn.Check("Sample: next", next.shape, B)
	nn.Check("Sample: out", out.shape, B, out.shape[1])
	nn.Check("Sample: recent", recent.shape, B, nn.RecentSize)
	o.drawn = draw{next, out, recent, logits, s}
}

// settle records the Sample or the Step that waits.
func (o *Ops) settle() {
	if s := o.stepped; s.b != nil {
		o.stepped = stepped{}
		o.recordStep(s.b, s.x, s.w, s.bias)
	}
	if o.drawn.logits != nil {
		o.recordDraw(nil, nil)
	}
}

// drawInto records the Sample that waits together with the look-up of its tokens, if that is what is asked for.
func (o *Ops) drawInto(h, table, tokens *Tensor) bool {
	d := o.drawn
	if d.logits == nil || len(table.parts) > 1 || o.whole(tokens) != o.whole(d.next) || tokens.shape[0] != d.next.shape[0] {
		return false
	}
	o.recordDraw(h, table)
	return true
}

func (o *Ops) recordDraw(h, table *Tensor) {
	d := o.drawn
	o.drawn = draw{}
	B, V := rowsOf(d.logits)
	s := d.rule
	params := wgsl.SampleParams{
		Vocab: uint32(V), Columns: uint32(d.out.shape[1]), MinLogit: -math.MaxFloat32, Temperature: s.Temperature, Penalty: 1,
		SeedLow: uint32(s.Seed), SeedHigh: uint32(s.Seed >> 32),
	}
	if s.TopK < V {
		params.TopK = uint32(s.TopK)
	}
	if s.TopP < 1 {
		params.TopP = s.TopP
	}
	if s.MinP > 0 {
		params.MinLogit = float32(math.Log(float64(s.MinP)))
	}
	if s.RepeatPenalty > 0 {
		params.Penalty = s.RepeatPenalty
	}
	v := variant{kernel: wgsl.Sample}
	if V >= wideVocab {
		v.workgroup = 256
	}
	var weights, scales *gpu.Buffer
	if table != nil {
		v.embed, v.format = true, table.format
		weights, scales = table.parts[0].buffer, table.scales
		params.Width, params.Stride = uint32(table.shape[1]), table.stride()
	}
	o.dispatch(v, gpu.Params(&params), B, 1,
		o.whole(d.logits), o.whole(d.recent), o.whole(d.next), o.whole(d.out), weights, scales, o.whole(h))
}
