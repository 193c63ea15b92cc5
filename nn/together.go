package nn

import (
	"fmt"
	"strings"

	"bitgpu/nn/op"
)

// maxTogether is how many sessions share one pass: a product with more rows may add up in another order, and a session's result
// must not depend on the other sessions.
const maxTogether = 32

// maxTogetherPasses is how many groups of sessions keep their prepared pass.
const maxTogetherPasses = 8

// together are the prepared passes over the newest token of several sessions.
type together[T any] struct {
	passes     map[string]*togetherPass[T]
	generation int // of the workspace
	logits     T   // (maxTogether, V)
	made       bool
}

type togetherPass[T any] struct {
	sessions []*Session[T]
	program  op.Prepared
}

// ReadDrawn has the tokens that sessions of one sequence have drawn read into their memories, and predicts what follows. The
// weights are read once for all of them, where the backend can do that, and each gets to the bit what it gets alone.
func (m *Model[T]) ReadDrawn(sessions []*Session[T]) error {
	for _, s := range sessions {
		if s.batch != 1 || s.model != m {
			panic("nn: ReadDrawn is for sessions of one sequence and of this model")
		}
		if err := s.room(1); err != nil {
			return err
		}
	}
	slicer, ok := m.Backend.(op.Slicer[T])
	for len(sessions) > 0 {
		n := 1
		if ok {
			n = min(maxTogether, len(sessions))
		}
		if err := m.readDrawn(slicer, sessions[:n]); err != nil {
			return err
		}
		for _, s := range sessions[:n] {
			s.remember(s.row, 1)
		}
		sessions = sessions[n:]
	}
	m.Backend.Submit()
	return nil
}

func (m *Model[T]) readDrawn(slicer op.Slicer[T], sessions []*Session[T]) error {
	if len(sessions) == 1 {
		return sessions[0].run(sessions[0].step())
	}
	t := &m.together
	if t.generation != m.work.generation {
		t.drop()
		t.generation = m.work.generation
	}
	var key strings.Builder
	for _, s := range sessions {
		fmt.Fprintf(&key, "%p", s)
	}
	p := t.passes[key.String()]
	if p == nil {
		if len(t.passes) >= maxTogetherPasses {
			t.drop()
		}
		program, err := m.prepareTogether(slicer, sessions)
		if err != nil {
			return err
		}
		p = &togetherPass[T]{append([]*Session[T](nil), sessions...), program}
		t.passes[key.String()] = p
	}
	p.program.Run()
	return nil
}

// prepareTogether prepares the pass: operations that treat rows independently run once for all sessions, operations with a
// state once for each session, on its own row.
func (m *Model[T]) prepareTogether(slicer op.Slicer[T], sessions []*Session[T]) (op.Prepared, error) {
	b, w, n := m.Backend, &m.work, len(sessions)
	if t := &m.together; !t.made {
		t.logits, t.made = b.New(op.F32, maxTogether, m.Config.Vocab), true
	}
	var program op.Program[T]
	tokens, stream := slicer.Slice(w.tokens, 0, n), slicer.Slice(w.stream, 0, n)
	for i, s := range sessions {
		program.Add(&op.Copy[T]{Dst: tokens, DstOffset: i, Src: s.next, N: 1})
	}
	all := m.boundTo(sessions[0], w.rowsOf(b, n))
	all.Lookup(&program, stream, tokens)
	shared := blocksOf(all, stream)
	own := make([]op.Program[T], n)
	for i, s := range sessions {
		v := w.rowsOf(b, 1)
		v.from, v.slicer = i, slicer
		own[i] = blocksOf(m.boundTo(s, v), slicer.Slice(w.stream, i, 1))
	}
	for k, o := range shared {
		if !op.OfSequence(o) {
			program.Add(o)
			continue
		}
		for _, p := range own {
			program.Add(p[k])
		}
	}
	logits := slicer.Slice(m.together.logits, 0, n)
	all.Logits(&program, logits, slicer.Slice(w.normed, 0, n), stream, 0, n)
	for i, s := range sessions {
		program.Add(&op.Copy[T]{Dst: s.logits, Src: logits, SrcOffset: i * m.Config.Vocab, N: m.Config.Vocab})
	}
	prepared, err := b.Prepare(program)
	if err != nil {
		return nil, fmt.Errorf("preparing the model: %w", err)
	}
	return prepared, nil
}

// boundTo is the net over a session's states and rows.
func (m *Model[T]) boundTo(s *Session[T], rows *views[T]) *Net[T] {
	return NewNet[T](m.Config, s.scan).Bind(Binding[T]{Param: m.Weights.param(), Low: m.Low.low(), Rows: rows.of, State: s.state.bind(), Shared: s.shared})
}

// blocksOf are the operations of all blocks of a net over one token a sequence.
func blocksOf[T any](n *Net[T], stream T) (p op.Program[T]) {
	for i := range n.Blocks {
		n.Forward(&p, i, stream)
	}
	n.Advance(&p, 1)
	return p
}

// drop gives all passes back.
func (t *together[T]) drop() {
	for _, p := range t.passes {
		p.program.Release()
	}
	t.passes = map[string]*togetherPass[T]{}
}

// forget drops the passes of a session that ends.
func (t *together[T]) forget(s *Session[T]) {
	for key, p := range t.passes {
		for _, other := range p.sessions {
			if other == s {
				p.program.Release()
				delete(t.passes, key)
				break
			}
		}
	}
}

// release gives all memory back.
func (t *together[T]) release(m op.Memory[T]) {
	t.drop()
	if t.made {
		m.Release(t.logits)
		t.made = false
	}
}
