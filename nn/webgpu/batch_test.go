package webgpu_test

import (
	"runtime"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/webgpu"
)

func TestBatches(t *testing.T) {
	ended := 12
	if testing.Short() {
		ended = 3
	}
	optest.Batches(t, webgpu.New(gputest.Device(t)), ended)
}

func TestRaising(t *testing.T) { optest.Raising(t, webgpu.New(gputest.Device(t))) }

// TestBatchSteadyState checks that a step of a batch takes one submit and creates nothing, whichever sequences take part.
func TestBatchSteadyState(t *testing.T) {
	dev := gputest.Device(t)
	for _, name := range optest.ReferenceNames {
		t.Run(name, func(t *testing.T) {
			ops := webgpu.New(dev)
			defer ops.Close()
			r := optest.LoadReference(t, name)
			m, err := nn.NewModel(ops, r.Config, r.Weights)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			b, err := m.NewBatch(5, r.Config.DefaultScan())
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			var all []*nn.Session[*webgpu.Tensor]
			for i := range 5 {
				s, err := b.NewSession()
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if err := s.Forward(r.Tokens[0][:3+i]); err != nil {
					t.Fatal(err)
				}
				if err := s.Start(op.Sampling{Temperature: 1, Seed: uint64(i)}); err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
			step := func(sessions []*nn.Session[*webgpu.Tensor]) {
				for _, s := range sessions {
					if _, err := s.Draw(); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.ForwardDrawn(sessions); err != nil {
					t.Fatal(err)
				}
			}
			mixes := [][]*nn.Session[*webgpu.Tensor]{all, all[1:4], all[2:], all[:2]}
			for _, mix := range mixes { // the first times prepare
				step(mix)
			}
			var heap, heapAfter runtime.MemStats
			runtime.ReadMemStats(&heap)
			before, bytes := dev.Stats(), dev.BytesInUse()
			const rounds = 20
			for range rounds {
				for _, mix := range mixes {
					step(mix)
				}
			}
			after := dev.Stats()
			runtime.ReadMemStats(&heapAfter)
			steps := rounds * len(mixes)
			if n, most := heapAfter.Mallocs-heap.Mallocs, uint64(64*steps); n > most {
				t.Errorf("got %d allocations for %d steps, want %d at most", n, steps, most)
			}
			if n := after.Submits - before.Submits; n > steps {
				t.Errorf("got %d submits for %d steps", n, steps)
			}
			after.Dispatches, after.Submits = before.Dispatches, before.Submits
			if after != before || dev.BytesInUse() != bytes {
				t.Errorf("steps created something: got %+v and %d bytes, then %+v and %d bytes", before, bytes, after, dev.BytesInUse())
			}
		})
	}
}
