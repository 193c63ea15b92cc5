package nn

import (
	"fmt"
	"slices"

	"bitgpu/nn/op"
)

// Batch has room for many sequences of one model, each in a slot of shared tensors, so that [Model.ForwardDrawn] reads the
// weights once for all of them. A [Session] uses a slot: NewSession takes one, growing the batch if none is free, and closing
// the session returns it. What one sequence reads and writes does not depend on the others. A batch, like the model, is for
// one goroutine.
type Batch[T any] struct {
	model    *Model[T]
	scan     op.Scan
	least    int           // slots that are kept when unused
	fixed    bool          // one session has all slots
	users    []*Session[T] // (S) by slot, nil where it is free
	slots[T]               // (S, …)
	list     slotList[T]   // of the sequences in a pass, if there is more than one slot
	known    map[passKey]*pass[T]

	generation int // of the workspace that the passes were prepared for
}

// slots holds the tensors of S sequences.
type slots[T any] struct {
	size     int // S
	state    *State[T]
	logits   T // (S, V) after the last token
	recent   T // (S, op.RecentSize)
	rules    T // (S, op.RulesSize)
	position T // (S) for public families: tokens read, on the device
}

// slotList lists the sequences of a pass, with room for a row of each.
type slotList[T any] struct {
	size          int      // M, the largest number of sequences; 0 if passes need no list
	slots         T        // (M)
	host          []uint32 // the contents of slots
	logits        T        // (M, V)
	recent, rules T        // (M, op.RecentSize), (M, op.RulesSize)
	next, out     T        // (M), (M, 1) drawn
}

// bigSlots limits, in bytes, the slots that are made in advance.
const bigSlots = 64 << 20

// NewBatch makes room for n sequences, which may be 0, with empty memories. scan is as in [Model.NewSession].
func (m *Model[T]) NewBatch(n int, scan op.Scan) (*Batch[T], error) {
	h := &Batch[T]{model: m, scan: scan, least: n, known: map[passKey]*pass[T]{}}
	if err := h.resize(n); err != nil {
		return nil, fmt.Errorf("making a batch: %w", err)
	}
	m.batches = append(m.batches, h)
	return h, nil
}

// NewSession begins a sequence.
func (h *Batch[T]) NewSession() (*Session[T], error) {
	slot := slices.Index(h.users, nil)
	if slot < 0 {
		slot = h.size
		if err := h.resize(h.larger()); err != nil {
			return nil, fmt.Errorf("making a session: %w", err)
		}
	}
	s, err := h.begin(slot, 1)
	if err != nil {
		h.shrink()
		return nil, err
	}
	s.Reset()
	return s, nil
}

// larger returns the number of slots to grow to when one more is needed.
func (h *Batch[T]) larger() int {
	m := new(op.Meter)
	makeSlots(op.Tensors[struct{}](m), h.model.Config, 1)
	if float64(2*h.size)*m.Bytes <= bigSlots {
		return max(2*h.size, 1)
	}
	return h.size + 1
}

// begin makes a session that uses `batch` slots starting at slot.
func (h *Batch[T]) begin(slot, batch int) (*Session[T], error) {
	m := h.model
	s := newSession(m.Config, op.Tensors[T](m.Backend), batch, h.scan)
	m.begun++
	s.model, s.home, s.slot, s.id = m, h, slot, m.begun
	for i := range batch {
		h.users[slot+i] = s
	}
	m.sessions++
	m.work.grow(m.Backend, m.Config, s.rows*batch)
	m.work.fill(m.Backend, m.Config)
	if err := m.Backend.Flush(); err != nil {
		s.Close()
		if m.sessions == 0 {
			m.work.release(m.Backend) // the workspace may take the memory that was missing
		}
		return nil, fmt.Errorf("making a session: %w", err)
	}
	return s, nil
}

// leave frees the slots of a session.
func (h *Batch[T]) leave(s *Session[T]) {
	if h.fixed {
		h.forget()
	}
	for key, p := range h.known {
		if key.of == s.id {
			p.release()
			delete(h.known, key)
		}
	}
	for i := range s.batch {
		h.users[s.slot+i] = nil
	}
	h.shrink()
}

// shrink releases memory of unused slots.
func (h *Batch[T]) shrink() {
	if h.size > h.least && !slices.ContainsFunc(h.users, func(s *Session[T]) bool { return s != nil }) {
		h.resize(h.least) // copies nothing; if making fewer slots fails, the next call returns the device's error
	}
}

// forget ends the model's knowledge of the batch.
func (h *Batch[T]) forget() {
	h.model.batches = slices.DeleteFunc(h.model.batches, func(other *Batch[T]) bool { return other == h })
}

// Close releases the batch's memory. Close its sessions first.
func (h *Batch[T]) Close() {
	h.forget()
	h.dropPasses()
	h.release(h.model.Backend, h.model.Config)
	h.list.release(h.model.Backend)
}

// resize changes the number of slots to n and keeps the sequences in use. After an error nothing has changed.
func (h *Batch[T]) resize(n int) error {
	b, c := h.model.Backend, h.model.Config
	var next slots[T]
	var list slotList[T]
	if n > 0 {
		next = makeSlots(op.Tensors[T](b), c, n)
	}
	if n > 1 && !h.fixed {
		list = makeSlotList(b, c, min(n, b.Alike()))
	}
	if n > 0 {
		if err := b.Flush(); err != nil {
			next.release(b, c)
			list.release(b)
			return err
		}
	}
	h.move(next)
	h.list.release(b)
	h.list = list
	return nil
}

// move replaces the slots by others and keeps the sequences in use.
func (h *Batch[T]) move(next slots[T]) {
	b, c := h.model.Backend, h.model.Config
	kept := min(h.size, next.size)
	if kept > 0 {
		next.copyFrom(b, c, &h.slots, kept, h.users)
	}
	h.dropPasses()
	h.release(b, c)
	h.slots = next
	h.users = append(h.users[:kept], make([]*Session[T], next.size-kept)...)
}

// makeSlots makes the tensors of n sequences with empty memories.
func makeSlots[T any](m op.Tensors[T], c Config, n int) slots[T] {
	s := slots[T]{size: n, state: NewState(m, c, n), logits: m.New(op.F32, n, c.Vocab)}
	s.recent, s.rules = m.New(op.U32, n, op.RecentSize), m.New(op.U32, n, op.RulesSize)
	if c.Decoder != nil {
		s.position = m.New(op.U32, n)
	}
	return s
}

// copyFrom copies the first n slots of another set, caches only as far as they have been read.
func (s *slots[T]) copyFrom(m op.Tensors[T], c Config, from *slots[T], n int, users []*Session[T]) {
	s.state.copyFrom(m, 0, from.state, 0, n)
	for i, user := range users[:n] {
		if user != nil {
			s.state.copyGrown(m, i, from.state, i, 1, int(user.read))
		}
	}
	m.Copy(s.logits, 0, from.logits, 0, n*c.Vocab)
	m.Copy(s.recent, 0, from.recent, 0, n*op.RecentSize)
	m.Copy(s.rules, 0, from.rules, 0, n*op.RulesSize)
	if c.Decoder != nil {
		m.Copy(s.position, 0, from.position, 0, n)
	}
}

func (s *slots[T]) release(m op.Tensors[T], c Config) {
	if s.size == 0 {
		return
	}
	s.state.Release(m)
	m.Release(s.logits, s.recent, s.rules)
	if c.Decoder != nil {
		m.Release(s.position)
	}
	*s = slots[T]{}
}

func makeSlotList[T any](m op.Tensors[T], c Config, n int) slotList[T] {
	return slotList[T]{
		size: n, slots: m.New(op.U32, n), host: make([]uint32, n), logits: m.New(op.F32, n, c.Vocab),
		recent: m.New(op.U32, n, op.RecentSize), rules: m.New(op.U32, n, op.RulesSize), next: m.New(op.U32, n), out: m.New(op.U32, n, 1),
	}
}

func (l *slotList[T]) release(m op.Tensors[T]) {
	if l.size > 0 {
		m.Release(l.slots, l.logits, l.recent, l.rules, l.next, l.out)
		*l = slotList[T]{}
	}
}

// use writes the slots of the next pass's sequences, unless the tensor already holds them.
func (l *slotList[T]) use(m op.Tensors[T], sessions ...*Session[T]) {
	if l.size == 0 {
		return
	}
	changed := false
	for i, s := range sessions {
		changed = changed || l.host[i] != uint32(s.slot)
		l.host[i] = uint32(s.slot)
	}
	if changed {
		m.WriteTokens(l.slots, 0, l.host[:len(sessions)])
	}
}
