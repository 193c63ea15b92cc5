package nn

import (
	"slices"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// State is what a model remembers of the sequences that it has read: its size does not depend on how much that was.
type State[T any] struct {
	batch int
	parts []statePart[T] // in the order of the data flow
	sets  []stateSet[T]
}

// statePart is one tensor of the state.
type statePart[T any] struct {
	block  int
	shape  []int // of one sequence
	tensor T     // (B, shape…)
}

// stateSet are the tensors of one kind: they were made side by side.
type stateSet[T any] struct {
	kind, name string
	shape      []int // (B, shape…)
	tensors    []T
	parts      []int // places in parts
}

// NewState makes the state of B sequences before anything was read: zeros.
func NewState[T any](m op.Memory[T], c Config, batch int) *State[T] {
	s := &State[T]{batch: batch}
	NewNet[struct{}](c, c.DefaultScan()).Bind(Binding[struct{}]{State: func(at Place, d layer.State) struct{} {
		i := slices.IndexFunc(s.sets, func(set stateSet[T]) bool { return set.kind == at.Kind && set.name == d.Name })
		if i < 0 {
			i = len(s.sets)
			s.sets = append(s.sets, stateSet[T]{kind: at.Kind, name: d.Name, shape: append([]int{batch}, d.Shape...)})
		}
		s.sets[i].parts = append(s.sets[i].parts, len(s.parts))
		s.parts = append(s.parts, statePart[T]{block: at.Block, shape: d.Shape})
		return struct{}{}
	}})
	for i := range s.sets {
		set := &s.sets[i]
		set.tensors = m.NewSet(len(set.parts), op.F32, set.shape...)
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
		m.Zero(p.tensor)
	}
}

// CopyFrom makes s equal to another state of the same model and batch.
func (s *State[T]) CopyFrom(m op.Memory[T], from *State[T]) {
	for i, set := range s.sets {
		m.CopySet(set.tensors, from.sets[i].tensors, op.Count(set.shape))
	}
}

// Release gives the memory back.
func (s *State[T]) Release(m op.Memory[T]) {
	for _, set := range s.sets {
		m.Release(set.tensors...)
	}
}
