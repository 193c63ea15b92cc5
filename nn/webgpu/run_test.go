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

// inShare reports whether a case is in a share of all cases, by its place. A short test, which leaves out most cases anyway, takes
// what is left of all shares.
func inShare(place, share, shares int) bool { return testing.Short() || place%shares == share }
