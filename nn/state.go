package nn

import (
	"slices"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// State is what a model remembers of the sequences that it has read. Its size does not depend on how long they are, except
// that caches of keys and values have room for a number of tokens, Config.Capacity, which [Model.Raise] raises.
type State[T any] struct {
	batch int
	parts []statePart[T] // in the order of the data flow
	sets  []stateSet[T]
}

// statePart is one tensor of the state.
type statePart[T any] struct {
	block  int
	name   string
	shape  []int // of one sequence; if it grows, the first axis is the number of tokens that there is room for
	grows  bool
	tensor T // (B, shape…)
}

// stateSet holds the tensors of one kind, which were made by one NewSet.
type stateSet[T any] struct {
	kind, name string
	shape      []int // (B, shape…)
	grows      bool
	format     op.Format
	tensors    []T
	parts      []int // indices into parts
}

// NewState makes the state of B sequences with empty memories: zeros.
func NewState[T any](m op.Tensors[T], c Config, batch int) *State[T] {
	return newState(m, c, batch, true)
}

// newState makes a state. Unless growing is set, the parts that grow with the tokens get no tensors.
func newState[T any](m op.Tensors[T], c Config, batch int, growing bool) *State[T] {
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
		if set.grows {
			set.tensors = m.NewGrowing(len(set.parts), set.format, set.shape...)
		} else {
			set.tensors = m.NewSet(len(set.parts), set.format, set.shape...)
		}
		for j, at := range set.parts {
			s.parts[at].tensor = set.tensors[j]
		}
	}
	return s
}

// bind hands out the tensors one after the other, as Binding.State needs it.
func (s *State[T]) bind() func(Place, layer.State) T {
	i := 0
	return func(Place, layer.State) T {
		i++
		return s.parts[i-1].tensor
	}
}

// zero empties the memories of n sequences starting at `at`.
func (s *State[T]) zero(m op.Tensors[T], at, n int) {
	for _, p := range s.parts {
		switch each := op.Count(p.shape); {
		case p.grows: // what was read before is never looked at
		case n == s.batch:
			m.Zero(p.tensor)
		default:
			m.ZeroPart(p.tensor, at*each, n*each)
		}
	}
}

// copyFrom copies the memories of n sequences from another state of the same model. It leaves out caches, which grow: if both
// states belong to one session and only tokens after the copied position have been read since, the cache still holds the
// right rows.
func (s *State[T]) copyFrom(m op.Tensors[T], at int, from *State[T], fromAt, n int) {
	for i, set := range s.sets {
		switch {
		case set.grows:
		case n == s.batch && n == from.batch:
			m.CopySet(set.tensors, from.sets[i].tensors, op.Count(set.shape))
		default:
			each := op.Count(set.shape[1:])
			for j, t := range set.tensors {
				m.Copy(t, at*each, from.sets[i].tensors[j], fromAt*each, n*each)
			}
		}
	}
}

// copyGrown copies the caches of n sequences, for their first `tokens` tokens.
func (s *State[T]) copyGrown(m op.Tensors[T], at int, from *State[T], fromAt, n, tokens int) {
	for i, p := range s.parts {
		if !p.grows || tokens == 0 {
			continue
		}
		other, row := from.parts[i], op.Count(p.shape[1:])
		for b := range n { // the two may have room for different numbers of tokens
			m.Copy(p.tensor, (at+b)*op.Count(p.shape), other.tensor, (fromAt+b)*op.Count(other.shape), tokens*row)
		}
	}
}

// Release frees the memory.
func (s *State[T]) Release(m op.Tensors[T]) {
	for _, set := range s.sets {
		m.Release(set.tensors...)
	}
}
