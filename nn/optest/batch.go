package optest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// Batches checks that any mix of sequences of a model, started, forked, stopped, resumed, read on and closed at random, gives each
// of them exactly the text that it gives alone on the same backend.
func Batches[T any](t *testing.T, ops op.Executor[T], ended int) {
	for i, s := range small {
		t.Run(s.name, func(t *testing.T) {
			c := s.config.WithDefaults()
			mixed(t, ops, c, RandomWeights(c, uint64(i)), ended)
		})
	}
	for i, d := range families() {
		t.Run(d.name, func(t *testing.T) { mixed(t, ops, nn.OfDecoder(d.Decoder), d.weights(uint64(i)), ended) })
	}
}

// member is a sequence among others, with its history.
type member[T any] struct {
	*nn.Session[T]
	history []chapter
	text    []uint32
}

// chapter is a part of the history: what was read, and how much was then written by which rules.
type chapter struct {
	read  []uint32
	rules op.Sampling
	n     int
}

func mixed[T any](t *testing.T, ops op.Executor[T], c nn.Config, weights *nn.Weights[op.HostTensor], ended int) {
	m, err := nn.NewModel(ops, c, weights)
	check(t, err)
	defer m.Release()
	rng := rand.New(rand.NewPCG(4, uint64(c.Vocab)))
	batch, err := m.NewBatch(rng.IntN(3), c.DefaultScan())
	check(t, err)
	defer batch.Close()
	tokens := func(n int) []uint32 {
		ids := make([]uint32, n)
		for i := range ids {
			ids[i] = uint32(rng.IntN(c.Vocab))
		}
		return ids
	}
	// goOn makes a member read tokens, if there are any, and begin to write by other rules.
	goOn := func(s *member[T], ids []uint32) {
		check(t, s.Forward(ids))
		rules := op.Sampling{Temperature: float32(rng.IntN(2)), TopK: rng.IntN(20), Seed: rng.Uint64(), RepeatPenalty: 1.2}
		check(t, s.Start(rules))
		s.history = append(s.history, chapter{ids, rules, 0})
	}
	// end compares a member with what it gives alone.
	end := func(s *member[T]) {
		alone, err := m.NewSession(1, c.DefaultScan())
		check(t, err)
		defer alone.Close()
		var want []uint32
		for _, h := range s.history {
			check(t, alone.Forward(h.read))
			check(t, alone.Generate(h.n, h.rules, func(ids []uint32) bool {
				want = append(want, ids[0])
				return true
			}))
		}
		if !slices.Equal(s.text, want) {
			t.Fatalf("%d tokens in %d chapters: got %v among others, want %v as alone", len(s.text), len(s.history), s.text, want)
		}
		logits, prediction := make([]float32, c.Vocab), make([]float32, c.Vocab)
		check(t, s.Logits(logits))
		check(t, alone.Logits(prediction))
		if !slices.Equal(logits, prediction) {
			t.Fatal("got another prediction than alone")
		}
		s.Close()
	}
	var live []*member[T]
	for done := 0; done < ended; {
		for len(live) < 9 && rng.IntN(3) > 0 {
			s := &member[T]{}
			if s.Session, err = batch.NewSession(); err != nil {
				t.Fatal(err)
			}
			goOn(s, tokens(1+rng.IntN(30)))
			live = append(live, s)
		}
		if len(live) > 0 && rng.IntN(4) == 0 {
			origin := live[rng.IntN(len(live))]
			f := &member[T]{history: slices.Clone(origin.history), text: slices.Clone(origin.text)}
			if f.Session, err = origin.Fork(); err != nil {
				t.Fatal(err)
			}
			goOn(f, nil)
			live = append(live, f)
		}
		if len(live) > 0 && rng.IntN(5) == 0 {
			goOn(live[rng.IntN(len(live))], tokens(1+rng.IntN(4)))
		}
		var turn []*nn.Session[T]
		for _, i := range rng.Perm(len(live))[:rng.IntN(len(live)+1)] { // the others are stopped for this time
			s := live[i]
			id, err := s.Draw()
			check(t, err)
			s.text = append(s.text, id[0])
			s.history[len(s.history)-1].n++
			turn = append(turn, s.Session)
		}
		check(t, m.ForwardDrawn(turn))
		live = slices.DeleteFunc(live, func(s *member[T]) bool {
			if len(s.text) < 12 && rng.IntN(20) > 0 {
				return false
			}
			end(s)
			done++
			return true
		})
	}
	for _, s := range live {
		end(s)
	}
}
