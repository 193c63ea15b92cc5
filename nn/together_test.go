package nn_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// Any mix of sessions, begun, stopped and gone on with at random, gives each the text that it gives alone.
func TestReadDrawnIsReadingAlone(t *testing.T) {
	type model struct {
		config nn.Config
		host   *nn.Weights[op.HostTensor]
	}
	models := map[string]model{}
	for name, d := range decoders() {
		models[name] = model{nn.OfDecoder(d), randomDecoder(d, 9)}
	}
	for _, mixer := range []string{nn.MixerTied, nn.MixerDelta} {
		c := nn.Config{Vocab: 96, Width: 64, Layers: 2, InnerLR: 0.1, Mixer: mixer, WeightScale: nn.ScaleAbsmean}.WithDefaults()
		models[mixer] = model{c, train.InitialWeights(c, 3)}
	}
	for name, m := range models {
		t.Run(name, func(t *testing.T) { mixSessions(t, m.config, m.host) })
	}
}

// mixed is a session among others, with what it is to write.
type mixed struct {
	*nn.Session[*cpu.Tensor[float32]]
	want, text []uint32
}

func mixSessions(t *testing.T, c nn.Config, host *nn.Weights[op.HostTensor]) {
	rng := rand.New(rand.NewPCG(4, 4))
	m, err := nn.NewModel(cpu.New(), c, host)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	const long = 12
	begin := func() *mixed {
		ids := make([]uint32, 1+rng.IntN(30))
		for i := range ids {
			ids[i] = uint32(rng.IntN(c.Vocab))
		}
		rules := op.Sampling{Temperature: float32(rng.IntN(2)), TopK: rng.IntN(20), Seed: rng.Uint64(), RepeatPenalty: 1.2}
		s := &mixed{}
		for range 2 { // first alone, to know what is right
			if s.Session != nil {
				s.Session.Close()
			}
			if s.Session, err = m.NewSession(1, c.DefaultScan()); err != nil {
				t.Fatal(err)
			}
			if err := s.Read(ids); err != nil {
				t.Fatal(err)
			}
			if s.want == nil {
				if err := s.Generate(long, rules, func(ids []uint32) bool {
					s.want = append(s.want, ids[0])
					return true
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Start(rules); err != nil {
			t.Fatal(err)
		}
		return s
	}
	var live []*mixed
	ended := 0
	for round := 0; ended < 60 && round < 2000; round++ {
		for len(live) < 40 && rng.IntN(3) > 0 {
			live = append(live, begin())
		}
		var turn []*nn.Session[*cpu.Tensor[float32]]
		for _, i := range rng.Perm(len(live))[:rng.IntN(len(live)+1)] {
			s := live[i]
			id, err := s.Draw()
			if err != nil {
				t.Fatal(err)
			}
			s.text = append(s.text, id[0])
			turn = append(turn, s.Session)
		}
		if err := m.ReadDrawn(turn); err != nil {
			t.Fatal(err)
		}
		live = slices.DeleteFunc(live, func(s *mixed) bool {
			if !slices.Equal(s.text, s.want[:len(s.text)]) {
				t.Fatalf("wrote %v among others, want %v as alone", s.text, s.want)
			}
			if len(s.text) < long && rng.IntN(40) > 0 {
				return false
			}
			ended++
			s.Close()
			return true
		})
	}
	for _, s := range live {
		s.Close()
	}
}
