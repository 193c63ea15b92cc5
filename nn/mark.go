package nn

import (
	"fmt"
	"slices"
	"strconv"

	"bitgpu/nn/op"
)

// Mark is a place in the text that a session can return to: a copy of the session's memory there. It holds no keys and
// values, because later ones do not change earlier ones, so a mark only costs as much as the rest of the state.
type Mark[T any] struct {
	of       *Session[T]
	state    *State[T]
	mirror   []uint32
	position int64
}

// Mark marks the current place. Release it to free its memory.
func (s *Session[T]) Mark() (*Mark[T], error) {
	b := s.model.Backend
	m := &Mark[T]{of: s, state: newState(b, s.model.Config, s.batch, false), mirror: slices.Clone(s.mirror), position: s.read}
	m.state.copyFrom(b, 0, s.home.state, s.slot, s.batch)
	if err := b.Flush(); err != nil {
		m.Release()
		return nil, fmt.Errorf("marking a place: %w", err)
	}
	return m, nil
}

// GoBack forgets everything after a mark of this session. There is no prediction until something is read. A mark becomes
// invalid when the session goes back to a place before it.
func (s *Session[T]) GoBack(m *Mark[T]) {
	if m.of != s {
		panic("nn: GoBack: the mark is of another session")
	}
	s.home.state.copyFrom(s.model.Backend, s.slot, m.state, 0, s.batch)
	copy(s.mirror, m.mirror)
	s.moveTo(m.position)
	s.finite = m.position
}

// States returns what the session's only sequence remembered at the mark, without keys and values. Names are numbers.
func (m *Mark[T]) States() (states []StateTensor, err error) {
	for i, p := range m.state.parts {
		if p.grows {
			continue
		}
		t := StateTensor{strconv.Itoa(i), p.shape, make([]float32, op.Count(p.shape))}
		if err := m.of.model.Backend.Download(p.tensor, 0, t.Values); err != nil {
			return nil, err
		}
		states = append(states, t)
	}
	return states, nil
}

// MarkOf makes a mark of the only sequence from the result of [Mark.States], at a position among the tokens that the session
// has read; recent are the last tokens before it.
func (s *Session[T]) MarkOf(states []StateTensor, position int64, recent []uint32) (*Mark[T], error) {
	m, err := s.Mark()
	if err != nil {
		return nil, err
	}
	m.position = position
	clear(m.mirror)
	for _, id := range recent {
		op.Push(m.mirror, id)
	}
	for i, p := range m.state.parts {
		if p.grows {
			continue
		}
		at := slices.IndexFunc(states, func(t StateTensor) bool { return t.Name == strconv.Itoa(i) && slices.Equal(t.Shape, p.shape) })
		if at < 0 || len(states[at].Values) != op.Count(p.shape) {
			m.Release()
			return nil, fmt.Errorf("mark: got no state %d of shape %v, want one", i, p.shape)
		}
		s.model.Backend.Write(p.tensor, 0, states[at].Values)
	}
	return m, s.model.Backend.Flush()
}

// Release frees the memory.
func (m *Mark[T]) Release() { m.state.Release(m.of.model.Backend) }

// Cuts reports whether the session can forget its last tokens without a mark. It can if it only remembers keys and values.
func (s *Session[T]) Cuts() bool {
	for _, p := range s.home.state.parts {
		if !p.grows {
			return false
		}
	}
	return true
}

// Cut forgets all but the first `tokens` tokens of the only sequence, of which recent are the last. Cuts must be true. There
// is no prediction until something is read.
func (s *Session[T]) Cut(tokens int64, recent []uint32) {
	if !s.Cuts() || tokens > s.read {
		panic(fmt.Sprintf("nn: Cut: got %d tokens of %d", tokens, s.read))
	}
	clear(s.mirror)
	for _, id := range recent {
		op.Push(s.mirror, id)
	}
	s.moveTo(tokens)
	s.finite = tokens
}
