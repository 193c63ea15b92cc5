package nn

import (
	"slices"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// State is what a model remembers of the sequences that it has read: its size does not depend on how much that was, but for
// caches of keys and values, which have room for a number of tokens.
type State[T any] struct {
	batch int
	parts []statePart[T] // in the order of the data flow
	sets  []stateSet[T]
}

// statePart is one tensor of the state.
type statePart[T any] struct {
	block  int
	name   string
	shape  []int // of one sequence; where it grows, with the number of tokens that there is room for first
	grows  bool
	tensor T // (B, shape…)
}

// stateSet are the tensors of one kind: they were made side by side.
type stateSet[T any] struct {
	kind, name string
	shape      []int // (B, shape…)
	grows      bool
	format     op.Format
	tensors    []T
	parts      []int // places in parts
}

// NewState makes the state of B sequences before anything was read: zeros.
func NewState[T any](m op.Memory[T], c Config, batch int) *State[T] {
	return newState(m, c, batch, true)
}

// newState makes a state. Unless growing is set, the parts that grow by the token get no tensors.
func newState[T any](m op.Memory[T], c Config, batch int, growing bool) *State[T] {
	s := &State[T]{batch: batch}
	NewNet[struct{}](c, c.DefaultScan()).Bind(Binding[struct{}]{State: func(at Place, d layer.State) struct{} {
		if d.Grows {
			d.Shape = append([]int{c.Capacity()}, d.Shape...)
		}
		i := slices.IndexFunc(s.sets, func(set stateSet[T]) bool { return set.kind == at.Kind && set.name == d.Name })
		if i < 0 {
			i = len(s.sets)
			set := stateSet[T]{kind: at.Kind, name: d.Name, shape: append([]int{batch}, d.Shape...), grows: d.Grows}
			if d.Half {
				set.format = op.F16
			}
			s.sets = append(s.sets, set)
		}
		s.sets[i].parts = append(s.sets[i].parts, len(s.parts))
		s.parts = append(s.parts, statePart[T]{block: at.Block, name: d.Name, shape: d.Shape, grows: d.Grows})
		return struct{}{}
	}})
	for i := range s.sets {
		set := &s.sets[i]
		if set.grows && !growing {
			continue
		}
		set.tensors = m.NewSet(len(set.parts), set.format, set.shape...)
		for j, at := range set.parts {
			s.parts[at].tensor = set.tensors[j]
		}
	}
	return s
}

// bind gives the tensors one after the other, as Binding.State wants them.
func (s *State[T]) bind() func(Place, layer.State) T {
	i := 0
	return func(Place, layer.State) T {
		i++
		return s.parts[i-1].tensor
	}
}

// Zero forgets everything.
func (s *State[T]) Zero(m op.Memory[T]) {
	for _, p := range s.parts {
		if !p.grows { // nothing behind the position is read
			m.Zero(p.tensor)
		}
	}
}

// CopyFrom makes s equal to another state of the same model and batch, except for the parts that grow: those are still right if
// tokens have only been added after the position since.
func (s *State[T]) CopyFrom(m op.Memory[T], from *State[T]) {
	for i, set := range s.sets {
		if !set.grows {
			m.CopySet(set.tensors, from.sets[i].tensors, op.Count(set.shape))
		}
	}
}

// copyGrown copies the rows of each sequence's first tokens, in the parts that grow.
func (s *State[T]) copyGrown(m op.Memory[T], from *State[T], tokens int) {
	for i, p := range s.parts {
		if !p.grows {
			continue
		}
		all, row := op.Count(p.shape), op.Count(p.shape[1:])
		for b := range s.batch {
			m.Copy(p.tensor, b*all, from.parts[i].tensor, b*all, tokens*row)
		}
	}
}

// Release gives the memory back.
func (s *State[T]) Release(m op.Memory[T]) {
	for _, set := range s.sets {
		m.Release(set.tensors...)
	}
}
