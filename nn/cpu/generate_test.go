package cpu_test

import (
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
)

// TestDecodingAllocatesNothing checks that a token, from the draw to the next logits, needs no more memory than the session has,
// also where loops are wide enough for several cores.
func TestDecodingAllocatesNothing(t *testing.T) {
	parallel.SetWorkers(2)
	t.Cleanup(func() { parallel.SetWorkers(0) })
	var models []*optest.Reference
	for _, name := range optest.ReferenceNames {
		models = append(models, optest.LoadReference(t, name))
	}
	for _, mixer := range nn.Mixers() {
		c := nn.Config{Vocab: 8000, Width: 256, Layers: 1, InnerLR: 0.1, WeightScale: nn.ScaleAbsmean, Mixer: mixer, TiedHead: true}.WithDefaults()
		models = append(models, &optest.Reference{Name: "wide " + mixer, Config: c, Weights: optest.RandomWeights(c, 1), Tokens: models[0].Tokens})
	}
	for _, r := range models {
		m, err := nn.NewModel(cpu.New(), r.Config, r.Weights)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Release)
		s, err := m.NewSession(1, r.Config.DefaultScan())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		if err := s.Forward(r.Tokens[0][:12]); err != nil {
			t.Fatal(err)
		}
		for about, p := range map[string]op.Sampling{
			"greedy":  {},
			"sampled": {Temperature: 0.9, TopK: 100, TopP: 0.95, MinP: 0.001, RepeatPenalty: 1.1, Seed: 12},
		} {
			n := testing.AllocsPerRun(5, func() {
				if err := s.Generate(20, p, func([]uint32) bool { return true }); err != nil {
					t.Fatal(err)
				}
			})
			if n > 0 {
				t.Errorf("%s, %s: %v allocations for 20 tokens", r.Name, about, n)
			}
		}
	}
}

// TestStepsAllocateNothing checks that a step of a batch needs no more memory than the batch has, whichever sequences take part.
func TestStepsAllocateNothing(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		m, err := nn.NewModel(cpu.New(), r.Config, r.Weights)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Release)
		b, err := m.NewBatch(5, r.Config.DefaultScan())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		var all []*nn.Session[*cpu.Tensor[float32]]
		for i := range 5 {
			s, err := b.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			if err := s.Forward(r.Tokens[0][:3+i]); err != nil {
				t.Fatal(err)
			}
			if err := s.Start(op.Sampling{Temperature: 1, TopP: 0.9, Seed: uint64(i)}); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		round := func() {
			for _, mix := range [][]*nn.Session[*cpu.Tensor[float32]]{all, all[1:4], all[2:], all[:2]} {
				for _, s := range mix {
					if _, err := s.Draw(); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.ForwardDrawn(mix); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := testing.AllocsPerRun(5, round); n > 0 {
			t.Errorf("%s: got %v allocations for 4 steps, want none", name, n)
		}
	}
}
