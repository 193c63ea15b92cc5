package nn

import (
	"fmt"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// maxPasses is how many prepared passes a session keeps.
const maxPasses = 32

// passKey says what a pass does.
type passKey struct {
	rows     int  // of the stream
	draw     bool // sample the tokens first
	step     bool // read the sampled tokens, not those of the workspace
	blocks   bool // look tokens up and run the blocks
	observed bool // call the observer after each block
	from, m  int  // rows from… have logits, m of them: in session.all if all, else in session.logits
	all      bool
}

// pass is a prepared pass: one program, or, when it is observed, one for each block and for what surrounds them.
type pass[T any] struct {
	key      passKey
	programs []op.Prepared
	memories []layer.Memory[T] // of the blocks, when it is observed
}

func (p *pass[T]) release() {
	for _, program := range p.programs {
		program.Release()
	}
}

// run runs a pass, which it prepares the first time.
func (s *Session[T]) run(key passKey) error {
	if s.generation != s.model.work.generation { // the passes' tensors are gone
		s.dropPasses()
		s.generation = s.model.work.generation
	}
	p := s.passes[key]
	if p == nil {
		if len(s.passes) >= maxPasses {
			s.dropPasses()
		}
		var err error
		if p, err = s.prepare(key); err != nil {
			return err
		}
		s.passes[key] = p
	}
	for i, program := range p.programs {
		program.Run()
		if i < len(p.memories) && p.memories[i] != nil {
			s.observe(i, p.memories[i])
		}
	}
	return nil
}

func (s *Session[T]) dropPasses() {
	for _, p := range s.passes {
		p.release()
	}
	clear(s.passes)
}

func (s *Session[T]) prepare(key passKey) (*pass[T], error) {
	m, w := s.model, &s.model.work
	b := m.Backend
	rows := w.rowsOf(b, key.rows)
	net := NewNet[T](m.Config, s.scan).Bind(Binding[T]{Param: m.Weights.param(), Low: m.Low.low(), Rows: rows.of, State: s.state.bind(), Shared: s.shared})
	stream, tokens := b.Rows(w.stream, key.rows), s.next
	if !key.step {
		tokens = b.Rows(w.tokens, key.rows)
	}
	p := &pass[T]{key: key}
	var program op.Program[T]
	cut := func() error {
		var scratch []T
		if !key.observed {
			scratch = rows.all
		}
		prepared, err := b.Prepare(program, scratch...)
		if err != nil {
			p.release()
			return fmt.Errorf("preparing the model: %w", err)
		}
		p.programs = append(p.programs, prepared)
		program = nil
		return nil
	}
	if key.draw {
		program.Add(&op.Sample[T]{Next: s.next, Out: s.out, Recent: s.recent, Rules: s.rules, Logits: s.logits})
	}
	if key.blocks {
		net.Lookup(&program, stream, tokens)
		for i, block := range net.Blocks {
			net.Forward(&program, i, stream)
			if key.observed {
				memory, _ := block[0].(layer.Memory[T])
				p.memories = append(p.memories, memory)
				if err := cut(); err != nil {
					return nil, err
				}
			}
		}
	}
	if key.blocks {
		net.Advance(&program, key.rows/s.batch)
	}
	if key.m > 0 {
		logits := s.logits
		if key.all {
			logits = b.Rows(s.all, key.m)
		}
		net.Logits(&program, logits, b.Rows(w.normed, key.rows), stream, key.from, key.m)
	}
	if len(program) > 0 {
		if err := cut(); err != nil {
			return nil, err
		}
	}
	return p, nil
}
