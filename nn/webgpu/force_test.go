package webgpu

import (
	"slices"
	"testing"

	"bitgpu/gpu/gputest"
)

func TestForce(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	names := Variants()
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			t.Errorf("two variants are called %q", name)
		}
		if o.Force(i) && o.choose(nil, variant{}, 3, 8, 1<<20) != choices[i] {
			t.Errorf("%s: another variant is chosen", name)
		}
	}
	if !o.Force(-1) || o.choose(nil, variant{}, 3, 8, 16) != o.usual(3, 8, 16) {
		t.Error("the usual choice wanted")
	}
}
