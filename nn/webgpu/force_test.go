package webgpu

import (
	"slices"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
)

// TestUnfused checks every operation by itself; fused ones are compared with these.
func TestUnfused(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	if n := logitsDispatches(t, o); n != 1 {
		t.Errorf("got %d dispatches of a norm and a head, want one", n)
	}
	for _, v := range Variants() {
		if v.plain {
			o.Force(&v)
			if n := logitsDispatches(t, o); n != 2 {
				t.Errorf("unfused: got %d dispatches of a norm and a head, want two", n)
			}
			optest.RunOnly(t, o, v.Ops...)
			return
		}
	}
	t.Error("no variant is unfused")
}

// logitsDispatches returns how many dispatches a norm takes with the head behind it.
func logitsDispatches(t *testing.T, o *Ops) int {
	stream, x, gain := o.New(op.F32, 1, 64), o.New(op.F32, 1, 64), o.New(op.F32, 64)
	logits, head := o.New(op.F32, 1, 8), o.New(op.F32, 8, 64)
	defer o.Release(stream, x, gain, logits, head)
	p, err := o.Prepare(op.Program[*Tensor]{&op.RMSNorm[*Tensor]{X: x, H: stream, Gain: gain}, &op.Head[*Tensor]{Logits: logits, X: x, W: head}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	return len(p.(*program).steps)
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
