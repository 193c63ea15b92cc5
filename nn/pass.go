package nn

import (
	"fmt"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// maxPasses is how many prepared passes a batch keeps per slot.
const maxPasses = 32

// passKey says what a pass does: for one session, or for one token of each of several.
type passKey struct {
	of       int  // the session whose drawn tokens, or whose logits of many rows, the pass uses, or 0
	each     int  // how many sessions read a token each and draw the next; 0: a pass of one session
	rows     int  // rows of the stream
	draw     bool // sample the tokens first
	step     bool // read the sampled tokens instead of those of the workspace
	blocks   bool // look tokens up and run the blocks
	observed bool // call the observer after each block
	from, m  int  // m rows starting at from get logits: in session.all if all, otherwise in the slots
	all      bool
}

// pass is a prepared pass: one program or, for an observed session, one for each block and those around them.
type pass[T any] struct {
	programs []op.Prepared
	memories []layer.Memory[T] // of the blocks, for an observed session
	out      T                 // (each, 1) tokens drawn
}

func (p *pass[T]) release() {
	for _, program := range p.programs {
		program.Release()
	}
}

// run runs a pass of the session. It is prepared the first time.
func (s *Session[T]) run(key passKey) error {
	if key.draw || key.step || key.all {
		key.of = s.id
	}
	p, err := s.home.pass(key, s)
	if err != nil {
		return err
	}
	s.home.list.use(s.model.Backend, s)
	for i, program := range p.programs {
		program.Run()
		if i < len(p.memories) && p.memories[i] != nil {
			s.observe(i, p.memories[i])
		}
	}
	return nil
}

// pass returns the pass for a key; s is the session of a pass of one.
func (h *Batch[T]) pass(key passKey, s *Session[T]) (*pass[T], error) {
	if h.generation != h.model.work.generation { // the workspace has replaced the tensors of these passes
		h.dropPasses()
		h.generation = h.model.work.generation
	}
	p := h.known[key]
	if p == nil {
		if len(h.known) >= maxPasses*max(h.size, 1) {
			h.dropPasses()
		}
		var err error
		if p, err = h.prepare(key, s); err != nil {
			return nil, err
		}
		h.known[key] = p
	}
	return p, nil
}

func (h *Batch[T]) dropPasses() {
	for _, p := range h.known {
		p.release()
	}
	clear(h.known)
}

// shared returns the tensors that a pass over the listed slots, or over all, shares. A sequence is always one document here.
func (h *Batch[T]) shared(slots T) func(layer.Shared) T {
	return func(which layer.Shared) (none T) {
		switch which {
		case layer.Angles:
			return h.model.work.angles
		case layer.Position:
			return h.position
		case layer.Slots:
			return slots
		}
		return none
	}
}

func (h *Batch[T]) prepare(key passKey, s *Session[T]) (*pass[T], error) {
	m, w := h.model, &h.model.work
	b, l := m.Backend, &h.list
	sequences, prepare := key.each, b.PrepareAlike
	if key.each == 0 {
		sequences, prepare = s.batch, b.Prepare
	}
	listed := l.size > 0
	var slots T
	if listed {
		slots = b.Rows(l.slots, sequences)
	}
	rows := w.rowsOf(b, key.rows)
	net := NewNet[T](m.Config, h.scan).Bind(Binding[T]{
		Param: m.Weights.param(), Low: m.Low.low(), Rows: rows.of, State: h.state.bind(), Shared: h.shared(slots),
	})
	stream, tokens := b.Rows(w.stream, key.rows), b.Rows(w.tokens, key.rows)
	if key.step {
		tokens = s.next
	}
	p := &pass[T]{}
	var program, behind op.Program[T]
	cut := func() error {
		var scratch []T
		if !key.observed {
			scratch = rows.all
		}
		prepared, err := prepare(program, scratch...)
		if err != nil {
			p.release()
			return fmt.Errorf("preparing the model: %w", err)
		}
		p.programs = append(p.programs, prepared)
		program = nil
		return nil
	}
	if key.draw {
		behind = h.draw(&program, slots, listed, 1, s.next, s.out, true)
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
		net.Advance(&program, key.rows/sequences)
	}
	program.Add(behind...)
	if key.m > 0 {
		logits := h.logits
		switch {
		case key.all:
			logits = b.Rows(s.all, key.m)
		case listed:
			logits = b.Rows(l.logits, key.m)
		}
		net.Logits(&program, logits, b.Rows(w.normed, key.rows), stream, key.from, key.m)
		if listed && !key.all {
			program.Add(&op.Scatter[T]{Dst: h.logits, Src: logits, Slots: slots})
		}
	}
	if key.each > 0 {
		p.out = b.Rows(l.out, key.each)
		program.Add(h.draw(&program, slots, true, key.each, b.Rows(l.next, key.each), p.out, false)...)
	}
	if len(program) > 0 {
		if err := cut(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// draw appends drawing a token for each of n sequences, from their logits in the slots or from those of the pass. The
// operations in behind may follow later in the program.
func (h *Batch[T]) draw(p *op.Program[T], slots T, listed bool, n int, next, out T, fetch bool) (behind op.Program[T]) {
	if !listed {
		p.Add(&op.Sample[T]{Next: next, Out: out, Recent: h.recent, Rules: h.rules, Logits: h.logits})
		return nil
	}
	b, l := h.model.Backend, &h.list
	logits, recent, rules := b.Rows(l.logits, n), b.Rows(l.recent, n), b.Rows(l.rules, n)
	if fetch {
		p.Add(&op.Gather[T]{Dst: logits, Src: h.logits, Slots: slots})
	}
	p.Add(
		&op.Gather[T]{Dst: recent, Src: h.recent, Slots: slots}, &op.Gather[T]{Dst: rules, Src: h.rules, Slots: slots},
		&op.Sample[T]{Next: next, Out: out, Recent: recent, Rules: rules, Logits: logits},
	)
	return op.Program[T]{&op.Scatter[T]{Dst: h.recent, Src: recent, Slots: slots}}
}
