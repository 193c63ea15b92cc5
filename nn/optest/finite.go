package optest

import (
	"errors"
	"math"
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// finite: no token is drawn from logits that are not finite, the error names the token that caused them, and
// the memory holds what was accepted before.
func (s fixture[T]) finite() {
	c, tokens := s.model.Config, s.text(300, 20)
	weights, logits := RandomWeights(c, 21), make([]float32, c.Vocab)
	good, err := nn.NewModel(s.model.Backend, c, weights)
	check(s.t, err)
	defer good.Release()
	written := func(m *nn.Model[T], limit int) (ids []uint32, at *nn.Session[T], err error) {
		at = session(s.t, m, 1, tokens[:5]...)
		err = at.Generate(limit, op.Sampling{Temperature: 1, Seed: 3}, func(row []uint32) bool {
			ids = append(ids, row[0])
			return true
		})
		return ids, at, err
	}
	want, _, err := written(good, 30)
	check(s.t, err)

	if c.TiedHead { // then a row of the table is in the logits after every token
		weights.Embed().F32[3] = float32(math.Inf(1))
		model, err := nn.NewModel(s.model.Backend, c, weights)
		check(s.t, err)
		defer model.Release()
		if ids, _, err := written(model, 30); !errors.Is(err, nn.ErrNotFinite) || len(ids) > 0 {
			s.t.Errorf("got the tokens %v (%v), want none", ids, err)
		}
		return
	}

	// The table's row of one token is not finite: a token that is written later, and has not been read before.
	first := slices.IndexFunc(want, func(id uint32) bool {
		return slices.Index(want, id) > 11 && !slices.Contains(tokens[:5], id)
	})
	if first < 0 {
		s.t.Fatal("another seed is needed")
	}
	bad := want[first]
	weights.Embed().F32[int(bad)*c.Width+3] = float32(math.Inf(1))
	model, err := nn.NewModel(s.model.Backend, c, weights)
	check(s.t, err)
	defer model.Release()
	expect := func(what string, err error, from, to int64) {
		s.t.Helper()
		var found *nn.NotFiniteError
		if !errors.As(err, &found) || !errors.Is(err, nn.ErrNotFinite) || found.From < from || found.From > found.To || found.To > to {
			s.t.Errorf("%s: got %v, want not finite after one of the tokens %d to %d", what, err, from, to)
		}
	}
	ids, at, err := written(model, 30)
	expect("written", err, int64(5+first+1), int64(5+first+1))
	if !slices.Equal(ids, want[:first+1]) || at.Position() != int64(5+first+1) {
		s.t.Errorf("got %v at %d, want tokens %v", ids, at.Position(), want[:first+1])
	}
	expect("written on", at.Generate(3, op.Sampling{}, func([]uint32) bool { panic("a token") }), int64(5+first+1), int64(5+first+1))
	ids, at, err = written(model, first)
	if err != nil || len(ids) != first || at.Logits(logits) != nil {
		s.t.Errorf("written up to the token: %v, %v", ids, err)
	}

	for i, id := range tokens {
		if id == bad {
			tokens[i] = (bad + 1) % uint32(c.Vocab)
		}
	}
	for _, place := range []int{0, 4, 150, 255, 256, 260, 299} {
		poisoned := slices.Clone(tokens)
		poisoned[place] = bad
		at := session(s.t, model, 1, poisoned...)
		chunk := int64(c.DefaultScan().Chunk)
		from := int64(place)/chunk*chunk + 1 // of what is computed together
		if from <= 257 {
			expect("read", at.Logits(logits), 1, 256+chunk) // the rows of the first of two passes are gone
		} else {
			expect("read", at.Logits(logits), from, from+chunk-1)
		}
		at.Reset()
		check(s.t, at.Logits(logits))
		if n := min(place+3, 256); place < n {
			check(s.t, at.Forward(poisoned[:n]))
			expect("read less", at.Logits(logits), from, from+chunk-1)
			expect("after reading", at.Generate(3, op.Sampling{}, nil), 1, int64(n))
		}
		at.Reset()
		rows := 0
		err := at.ForwardAll(poisoned, func(first int, logits []float32) error {
			rows = first + len(logits)/c.Vocab
			return nil
		})
		expect("shown", err, from, from+chunk-1)
		if rows > place {
			s.t.Errorf("token %d: %d rows were shown", place+1, rows)
		}
	}
}
