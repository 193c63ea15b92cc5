package webgpu

import (
	"slices"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/optest"
)

// TestUnfused checks every operation by itself; fused ones are compared with these.
func TestUnfused(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	for _, v := range Variants() {
		if v.plain {
			o.Force(&v)
			optest.RunOnly(t, o, v.Ops...)
			return
		}
	}
	t.Error("no variant is unfused")
}

// TestDeltaToken holds the kernels that take a token of the delta mixer in one or two dispatches, which software adapters
// do not choose, against the reference, and whole models with them.
func TestDeltaToken(t *testing.T) {
	for _, v := range Variants() {
		if v.storage == 0 {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			o := New(gputest.Device(t))
			defer o.Close()
			if !o.Force(&v) {
				t.Skipf("the adapter binds fewer than %d storage buffers", v.storage)
			}
			optest.RunOnly(t, o, v.Ops...)
			optest.Inference(t, o, 1e-4)
		})
	}
}

func TestForce(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	variants := Variants()
	for i, v := range variants {
		if slices.ContainsFunc(variants[:i], func(other Variant) bool { return other.Name == v.Name }) {
			t.Errorf("two variants are called %q", v.Name)
		}
		if !o.Force(&v) {
			continue
		}
		if v.product != nil && o.choose(nil, variant{}, 3, 8, 1<<20) != *v.product || v.blocks != o.forcedBlocks {
			t.Errorf("%s: another variant is chosen", v.Name)
		}
	}
	if !o.Force(nil) || o.forcedBlocks != nil || o.choose(nil, variant{}, 3, 8, 16) != o.usual(3, 8, 16) {
		t.Error("want the usual choice")
	}
}
