package webgpu

import (
	"fmt"
	"math"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// gatedDelta mixes the inputs of all rows, takes the states through them, and ends with norm and gate.
func (o *Ops) gatedDelta(args *op.GatedDelta[*Tensor]) {
	n, inputs := rowsOf(args.U)
	B, V, v, k := sequencesOf(args.State, args.Slots), args.State.shape[1], args.State.shape[2], args.State.shape[3]
	K, time, taps := args.KeyHeads, n/B, args.Conv.shape[1]
	channels := 2*K*k + V*v
	if k%4 != 0 || k > wgsl.GatedRuleMaxKey {
		o.dev.Fail(fmt.Errorf("webgpu: the gated delta rule with keys of width %d: want a multiple of 4 up to %d", k, wgsl.GatedRuleMaxKey))
		return
	}
	slots, listed := o.whole(args.Slots), args.Slots != nil
	mix := wgsl.GatedMixParams{
		N: uint32(n), Time: uint32(time), KeyHeads: uint32(K), Key: uint32(k), Value: uint32(v), Channels: uint32(channels),
		Inputs: uint32(inputs), Taps: uint32(taps), Scale: float32(1 / math.Sqrt(float64(k))),
	}
	o.dispatch(variant{kernel: wgsl.GatedMix, slots: listed}, gpu.Params(&mix), n, 2*K+V, o.whole(args.U), o.whole(args.Conv), o.whole(args.Tail), o.whole(args.Mixed), slots)
	rule := wgsl.GatedRuleParams{
		Time: uint32(time), Heads: uint32(V), KeyHeads: uint32(K), Key: uint32(k), Value: uint32(v), Channels: uint32(channels),
	}
	o.dispatchGrid(variant{kernel: wgsl.GatedRule, slots: listed}, gpu.Params(&rule), uint32(ceil(v, wgsl.GatedRuleRows)), uint32(V), uint32(B),
		o.whole(args.Mixed), o.whole(args.B), o.whole(args.A), o.whole(args.Decay), o.whole(args.Bias), o.whole(args.State), o.whole(args.O), slots)
	output := wgsl.GatedOutputParams{
		N: uint32(n), Time: uint32(time), Heads: uint32(V), Value: uint32(v), Channels: uint32(channels), Inputs: uint32(inputs),
		Taps: uint32(taps), Eps: float32(args.Eps),
	}
	o.dispatch(variant{kernel: wgsl.GatedOutput, slots: listed}, gpu.Params(&output), n, V, o.whole(args.U), o.whole(args.Gain), o.whole(args.Tail), o.whole(args.O), slots)
}
