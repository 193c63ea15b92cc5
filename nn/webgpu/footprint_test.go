package webgpu_test

import (
	"fmt"
	"testing"

	"bitgpu/gpu"
	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/webgpu"
)

// TestFootprint: the estimate covers the device memory of a session that writes, and little more.
func TestFootprint(t *testing.T) {
	adapter := fmt.Sprint(gputest.Device(t).Info().Index)
	for _, c := range []nn.Config{
		{Vocab: 3000, Width: 256, Layers: 3, InnerLR: 0.1},
		{Vocab: 1000, Width: 128, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 64, Heads: 2, WeightScale: nn.ScaleAbsmean},
		{Vocab: 100, Width: 36, Layers: 1, InnerLR: 0.1},
		{Vocab: 20000, Width: 64, Layers: 1, InnerLR: 0.1, TiedHead: true},
	} {
		for _, walk := range []string{"block by block", "blocks by 64"} {
			t.Run(fmt.Sprintf("%d wide/%s", c.Width, walk), func(t *testing.T) { footprint(t, adapter, c.WithDefaults(), walk) })
		}
	}
}

func footprint(t *testing.T, adapter string, c nn.Config, walk string) {
	host := new(nn.Weights[op.HostTensor])
	nn.Walk(c, host, func(p nn.Param, h *op.HostTensor) {
		*h = op.HostTensor{Format: op.F32, Shape: p.Shape, F32: make([]float32, op.Count(p.Shape))}
	})
	// A device of its own: that of the other tests already has parameters and buffers for reading back.
	dev, err := gpu.Open(gpu.Options{Adapter: adapter})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dev.Close)
	ops := webgpu.New(dev)
	t.Cleanup(ops.Close)
	for _, v := range webgpu.Variants() {
		if v.Name == walk {
			ops.Force(&v)
		}
	}
	before := ops.BytesInUse()
	m, err := nn.NewModel(ops, c, host)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Forward(make([]uint32, 700)); err != nil {
		t.Fatal(err)
	}
	if err := s.Generate(40, op.Sampling{Temperature: 1, Seed: 1}, func([]uint32) bool { return true }); err != nil {
		t.Fatal(err)
	}
	f := c.Footprint(1, ops.Lookahead())
	least, took := f.Weights+f.Workspace+f.Session, int64(ops.BytesInUse()-before)
	if walk != "block by block" {
		least += f.Copies
	}
	if took < least || took > least+webgpu.Overhead {
		t.Errorf("%+v: got %d bytes, want from %d to %d", c, took, least, least+webgpu.Overhead)
	}
	if ops.PeakBytes() < ops.BytesInUse() {
		t.Errorf("got a peak of %d bytes, %d are in use", ops.PeakBytes(), ops.BytesInUse())
	}
}
