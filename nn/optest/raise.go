package optest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// Raising checks that sequences whose context was full when it was raised go on like those that had the room from the start.
func Raising[T any](t *testing.T, ops op.Executor[T]) {
	const few, many = 24, 40
	for i, d := range families() {
		if !d.whole {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			load := func(context int) *nn.Model[T] {
				own := *d.Decoder
				own.Context = context
				m, err := nn.NewModel(ops, nn.OfDecoder(&own), d.weights(uint64(i)))
				check(t, err)
				t.Cleanup(m.Release)
				return m
			}
			small, large := load(few), load(many)
			batch, err := small.NewBatch(2, small.Config.DefaultScan())
			check(t, err)
			defer batch.Close()
			rng := rand.New(rand.NewPCG(5, uint64(i)))
			tokens := func(n int) []uint32 {
				ids := make([]uint32, n)
				for i := range ids {
					ids[i] = uint32(rng.IntN(d.Vocab))
				}
				return ids
			}
			var pairs [3]struct{ raised, want *nn.Session[T] } // two in a batch, and one by itself
			// both makes a pair read, then write, and compares them.
			both := func(k int, ids []uint32, n int) {
				t.Helper()
				var texts [2][]uint32
				logits := [2][]float32{make([]float32, d.Vocab), make([]float32, d.Vocab)}
				for j, s := range []*nn.Session[T]{pairs[k].raised, pairs[k].want} {
					check(t, s.Forward(ids))
					check(t, s.Generate(n, op.Sampling{Temperature: 1, Seed: uint64(k)}, func(ids []uint32) bool {
						texts[j] = append(texts[j], ids...)
						return true
					}))
					check(t, s.Logits(logits[j]))
				}
				if !slices.Equal(texts[0], texts[1]) || !slices.Equal(logits[0], logits[1]) {
					t.Fatalf("sequence %d: got %v and its prediction, want %v as with room for %d tokens from the start", k, texts[0], texts[1], many)
				}
			}
			for k := range pairs {
				p := &pairs[k]
				if k < 2 {
					p.raised, err = batch.NewSession()
				} else {
					p.raised, err = small.NewSession(1, small.Config.DefaultScan())
				}
				check(t, err)
				defer p.raised.Close()
				p.want, err = large.NewSession(1, large.Config.DefaultScan())
				check(t, err)
				defer p.want.Close()
				both(k, tokens(few-7+2*k), 7-2*k)
			}
			if err := pairs[0].raised.Forward(tokens(1)); !errors.Is(err, nn.ErrContext) {
				t.Fatalf("the context is full: got %v, want %v", err, nn.ErrContext)
			}
			check(t, small.Raise(many))
			check(t, small.Raise(few)) // does nothing
			if got := small.Config.Capacity(); got != many || pairs[0].raised.Left() != many-few {
				t.Fatalf("got room for %d tokens and for %d more, want %d and %d", got, pairs[0].raised.Left(), many, many-few)
			}
			fork, err := pairs[0].raised.Fork()
			check(t, err)
			defer fork.Close()
			pairs[0].raised = fork
			for k := range pairs {
				both(k, tokens(5), many-few-6)
			}
		})
	}
}
