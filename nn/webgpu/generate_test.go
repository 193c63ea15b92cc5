package webgpu_test

import (
	"slices"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/optest"
	"bitgpu/nn/webgpu"
)

// write lets a model write after a prompt; it returns the ids, B a step, and a session that can go on.
func write[T any](t *testing.T, ops nn.Ops[T], r *optest.Reference, batch, limit int, p nn.Sampling) ([]uint32, *nn.Session[T]) {
	t.Helper()
	m, err := nn.NewModel(ops, r.Config, r.Weights)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	s, err := m.NewSession(batch, r.Config.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Read(r.Tokens[0][:12]); err != nil {
		t.Fatal(err)
	}
	return more(t, s, limit, p), s
}

func more[T any](t *testing.T, s *nn.Session[T], limit int, p nn.Sampling) (ids []uint32) {
	t.Helper()
	err := s.Generate(limit, p, func(step []uint32) bool {
		ids = append(ids, step...)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestSameText holds what is written against the reference, in float64 so that its rounding decides nothing.
func TestSameText(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		for _, c := range []struct {
			name         string
			batch, limit int
			rule         nn.Sampling
		}{
			{"greedy", 1, 300, nn.Sampling{}},
			{"sampled", 3, 60, nn.Sampling{Temperature: 0.9, TopK: 100, TopP: 0.95, MinP: 0.001, RepeatPenalty: 1.1, Seed: 12}},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				want, _ := write(t, cpu.NewScalar[float64](), r, c.batch, c.limit, c.rule)
				got, _ := write(t, webgpu.New(gputest.Device(t)), r, c.batch, c.limit, c.rule)
				if !slices.Equal(got, want) {
					t.Errorf("%v wanted, %v found", want, got)
				}
			})
		}
	}
}

// TestSteadyState holds decoding to its number of dispatches a token, to one submit for all tokens between two looks
// of the host, and to creating nothing.
func TestSteadyState(t *testing.T) {
	dev := gputest.Device(t)
	for _, name := range optest.ReferenceNames {
		t.Run(name, func(t *testing.T) {
			ops := webgpu.New(dev)
			defer ops.Close()
			r := optest.LoadReference(t, name)
			p := nn.Sampling{Temperature: 1, TopP: 0.9, Seed: 1}
			_, s := write(t, ops, r, 1, 32, p)
			before, bytes := dev.Stats(), dev.BytesInUse()
			const tokens = 160
			more(t, s, tokens, p)
			after := dev.Stats()
			layer := 5
			if r.Config.Delta() {
				layer = 7
			}
			if n, want := after.Dispatches-before.Dispatches, tokens*(layer*r.Config.Layers+2); n > want {
				t.Errorf("%d dispatches for %d tokens, at most %d wanted", n, tokens, want)
			}
			if n, want := after.Submits-before.Submits, tokens/ops.Lookahead()+2; n > want {
				t.Errorf("%d submits for %d tokens, at most %d wanted", n, tokens, want)
			}
			after.Dispatches, after.Submits = before.Dispatches, before.Submits
			if after != before || dev.BytesInUse() != bytes {
				t.Errorf("decoding created something: %+v and %d bytes, then %+v and %d bytes", before, bytes, after, dev.BytesInUse())
			}
		})
	}
}
