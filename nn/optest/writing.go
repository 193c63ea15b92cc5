package optest

import (
	"fmt"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// The properties of sessions that write.

// goesOn compares what two sessions write from here on; the repeat penalty shows which tokens they
// remember.
func (s fixture[T]) goesOn(what string, got, want *nn.Session[T]) {
	s.t.Helper()
	p := op.Sampling{RepeatPenalty: 3}
	found, wanted := generate(s.t, got, 6, -1, p), generate(s.t, want, 6, -1, p)
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		s.t.Errorf("%s: got %v then, want %v", what, found, wanted)
	}
}

// generate collects what a session writes, a row per step, and refuses step number `refuse`.
func generate[T any](t *testing.T, s *nn.Session[T], limit, refuse int, p op.Sampling) (steps [][]uint32) {
	t.Helper()
	check(t, s.Generate(limit, p, func(ids []uint32) bool {
		steps = append(steps, slices.Clone(ids))
		return len(steps)-1 != refuse
	}))
	return steps
}

// refuse: after a token is refused, the memory and the tokens that the repeat penalty uses hold what was
// accepted, and nothing else.
func (s fixture[T]) refuse() {
	prompt := s.text(5, 13)
	greedy := op.Sampling{RepeatPenalty: 1.2}
	const limit = 10
	full := generate(s.t, session(s.t, s.model, 1, prompt...), limit, -1, greedy)
	if len(full) != limit {
		s.t.Fatalf("got %d tokens, want %d", len(full), limit)
	}
	for _, at := range []int{0, 1, 3, 4, 5, 9, -1} {
		stopped, plain := session(s.t, s.model, 1, prompt...), session(s.t, s.model, 1, prompt...)
		steps := generate(s.t, stopped, limit, at, greedy)
		accepted := len(steps)
		if at >= 0 {
			accepted = at
			if len(steps) != at+1 {
				s.t.Errorf("refused at %d: %d tokens were shown", at, len(steps))
			}
		}
		for i, step := range steps {
			if !slices.Equal(step, full[i]) {
				s.t.Errorf("refused at %d: token %d is %v, without refusing %v", at, i, step, full[i])
			}
			if i < accepted {
				check(s.t, plain.Forward(step))
			}
		}
		what := fmt.Sprintf("refused at %d", at)
		s.same(what, stopped, plain)
		s.goesOn(what, stopped, plain)
	}
}

// seeds: a seed always gives the same text, and another seed another text.
func (s fixture[T]) seeds() {
	prompt := s.text(4, 14)
	texts := map[uint64]string{}
	for _, seed := range []uint64{1, 2, 1, 1 << 40, 2} {
		p := op.Sampling{Temperature: 2, TopP: 0.99, Seed: seed}
		text := fmt.Sprint(generate(s.t, session(s.t, s.model, 1, prompt...), 12, -1, p))
		if before, ok := texts[seed]; ok && before != text {
			s.t.Errorf("seed %d: %s, then %s", seed, before, text)
		}
		texts[seed] = text
	}
	if texts[1] == texts[2] || texts[1] == texts[1<<40] {
		s.t.Errorf("different seeds give the same text: %v", texts)
	}
}

// batch: three sequences at once give what they give one by one, in texts longer than a pass.
func (s fixture[T]) batch() {
	const B, time = 3, 90
	V := s.model.Config.Vocab
	tokens := s.text(B*time, 15)
	together := session(s.t, s.model, B, tokens...)
	logits := make([]float32, B*V)
	check(s.t, together.Logits(logits))
	steps := generate(s.t, together, 6, 5, op.Sampling{})
	after := make([]float32, B*V)
	check(s.t, together.Logits(after))
	for b := range B {
		alone := session(s.t, s.model, 1, tokens[b*time:(b+1)*time]...)
		want := make([]float32, V)
		check(s.t, alone.Logits(want))
		closeTo(s.t, fmt.Sprintf("logits of sequence %d", b), logits[b*V:(b+1)*V], want, s.tolerance)
		for i, step := range generate(s.t, alone, 6, 5, op.Sampling{}) {
			if step[0] != steps[i][b] {
				s.t.Errorf("sequence %d, token %d: %d alone, %d in the batch", b, i, step[0], steps[i][b])
			}
		}
		check(s.t, alone.Logits(want))
		closeTo(s.t, fmt.Sprintf("logits of sequence %d after writing", b), after[b*V:(b+1)*V], want, s.tolerance)
	}
}

// turns: sessions of one model do not affect each other, even if one reads and writes, and needs more
// room, while another waits for its next token.
func (s fixture[T]) turns() {
	prompt, longer := s.text(3, 20), s.text(40, 21)
	greedy := op.Sampling{RepeatPenalty: 1.2}
	one, other := session(s.t, s.model, 1, prompt...), session(s.t, s.model, 1)
	var written, inner []uint32
	check(s.t, one.Generate(11, greedy, func(ids []uint32) bool {
		written = append(written, ids[0])
		switch len(written) {
		case 2:
			check(s.t, other.Forward(longer))
		case 5, 6:
			check(s.t, other.Generate(3, greedy, func(ids []uint32) bool {
				inner = append(inner, ids[0])
				return true
			}))
		}
		return true
	}))
	oneAlone, otherAlone := session(s.t, s.model, 1, prompt...), session(s.t, s.model, 1, longer...)
	steps := slices.Concat(generate(s.t, oneAlone, 11, -1, greedy)...)
	if !slices.Equal(steps, written) {
		s.t.Errorf("in turns %v was written, alone %v", written, steps)
	}
	steps = slices.Concat(slices.Concat(generate(s.t, otherAlone, 3, -1, greedy), generate(s.t, otherAlone, 3, -1, greedy))...)
	if !slices.Equal(steps, inner) {
		s.t.Errorf("in turns the other wrote %v, alone %v", inner, steps)
	}
	s.same("one", one, oneAlone)
	s.same("other", other, otherAlone)
}
