package webgpu

import (
	"errors"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// listed returns what a kernel binds as slots: the list of slots, or the documents. An operation never has both.
func (o *Ops) listed(slots, documents *Tensor) *gpu.Buffer {
	if documents == nil {
		return o.whole(slots)
	}
	if slots != nil {
		o.dev.Fail(errors.New("webgpu: got both slots and documents, want one of them"))
	}
	return o.whole(documents)
}

// bordered returns the decays' input of a gated delta rule, with marks where documents begin.
func (o *Ops) bordered(a, documents *Tensor) *gpu.Buffer {
	if documents == nil {
		return o.whole(a)
	}
	n, heads := rowsOf(a)
	marked := o.scratch("decays with borders", n*heads)
	params := wgsl.GatedBordersParams{N: uint32(n), Heads: uint32(heads)}
	o.each(variant{kernel: wgsl.GatedBorders}, gpu.Params(&params), n*heads, o.whole(a), o.whole(documents), marked)
	return marked
}

// fusesStep reports whether the scan of one token may be fused with the step size before it.
func fusesStep(s *op.DeltaScan[*Tensor]) bool { return s.Starts == nil && s.Documents == nil }
