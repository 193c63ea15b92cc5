package bench

import (
	"regexp"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/webgpu"
)

func TestGPU(t *testing.T) {
	d := gputest.Device(t)
	ops := webgpu.New(d)
	t.Cleanup(ops.Close)
	o := Options{
		Mode: Quick, Only: regexp.MustCompile("^floor|^op/(Step|Sample)/decode/|^model/.*/text/|^parity/ops/(step|sample)"), Sizes: []Size{{32, 3, 64}},
		Batches: []int{1}, Mixers: []string{nn.MixerTied}, Command: "test", unhurried: true,
	}
	r, err := Run(t.Context(), o, GPU[*webgpu.Tensor](d, ops))
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	f := r.Floors[0]
	if !(f.Bandwidth.Median > 1e7 && f.FLOPS.Median > 1e7 && f.Dispatch.Median > 1e-8) || r.Engines[0].Driver == "" {
		t.Errorf("got %+v %+v, want a measured device", f, r.Engines)
	}
	if len(r.Ops) != 4 {
		t.Errorf("got %+v, want 4 operations", r.Ops)
	}
	for _, op := range r.Ops {
		if op.Dispatches < 1 || op.Floor < f.Dispatch.Median {
			t.Errorf("got %+v, want an operation that takes a dispatch or more", op)
		}
	}
	if len(r.Models) != 1 {
		t.Fatalf("got %+v, want one model, notes %q", r.Models, r.Notes)
	}
	// What decoding may cost: five dispatches a layer and two, and a submit for eight tokens.
	if m := r.Models[0]; m.Dispatches > 5*3+2 || m.Submits > 1.0/8+0.1 {
		t.Errorf("%v dispatches and %v submits a token", m.Dispatches, m.Submits)
	}
}
