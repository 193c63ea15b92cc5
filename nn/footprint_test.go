package nn_test

import (
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

// The estimate equals what the engine says it has taken.
func TestFootprint(t *testing.T) {
	for _, c := range []nn.Config{
		{Vocab: 300, Width: 36, Layers: 3, InnerLR: 0.1},
		{Vocab: 100, Width: 64, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 32, Heads: 2, WeightScale: nn.ScaleAbsmean},
		{Vocab: 300, Width: 36, Layers: 3, InnerLR: 0.1, TiedHead: true},
	} {
		c = c.WithDefaults()
		host := new(nn.Weights[op.HostTensor])
		nn.Walk(c, host, func(p nn.Param, h *op.HostTensor) {
			*h = op.HostTensor{Format: op.F32, Shape: p.Shape, F32: make([]float32, op.Count(p.Shape))}
		})
		ops := cpu.New()
		m, err := nn.NewModel(ops, c, host)
		if err != nil {
			t.Fatal(err)
		}
		f := c.Footprint(1, ops.Lookahead())
		if got := int64(ops.BytesInUse()); got != f.Weights {
			t.Errorf("weights: %d bytes estimated, %d taken", f.Weights, got)
		}
		s, err := m.NewSession(1, c.DefaultScan())
		if err != nil {
			t.Fatal(err)
		}
		if got := int64(ops.BytesInUse()); got != f.Weights+f.Workspace+f.Session {
			t.Errorf("a session: %d + %d bytes estimated, %d taken", f.Workspace, f.Session, got-f.Weights)
		}
		second, err := m.NewSession(1, c.DefaultScan())
		if err != nil {
			t.Fatal(err)
		}
		if got := int64(ops.BytesInUse()); got != f.Weights+f.Workspace+2*f.Session {
			t.Errorf("two sessions: %d + 2 · %d bytes estimated, %d taken", f.Workspace, f.Session, got-f.Weights)
		}
		s.Close()
		second.Close()
		if got := int64(ops.BytesInUse()); got != f.Weights+f.Workspace {
			t.Errorf("closed sessions left %d bytes", got-f.Weights-f.Workspace)
		}
		m.Release()
		if got := ops.BytesInUse(); got != 0 {
			t.Errorf("a released model left %d bytes", got)
		}
	}
}
