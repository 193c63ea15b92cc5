package webgpu

import (
	"testing"

	"bitgpu/nn/op"
)

// run runs operations once.
func run(t testing.TB, o *Ops, ops ...op.Op[*Tensor]) {
	t.Helper()
	p, err := o.Prepare(ops)
	if err != nil {
		t.Fatal(err)
	}
	p.Run()
	p.Release()
}
