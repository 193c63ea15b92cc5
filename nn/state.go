package nn

// State is what a model remembers of the sequences it has read: its size does not depend on how
// much that was.
type State[T any] struct {
	Batch  int
	Layers []LayerState[T]

	memories, tails []T // those of Layers
}

// LayerState is the memory of one layer.
type LayerState[T any] struct {
	Memory T // (B, h, c, c)
	Tail   T // (B, 3, 3, d) delta: for key, query, value the last three inputs of the convolution, oldest first
}

// NewState makes the state before anything was read: zeros.
func NewState[T any](ops Ops[T], c Config, batch int) *State[T] {
	var tails []T
	if c.Delta() {
		tails = ops.NewSet(c.Layers, F32, batch, 3, ConvTail, c.MemoryWidth)
	}
	return stateOf(batch, ops.NewSet(c.Layers, F32, batch, c.Heads, c.HeadWidth(), c.HeadWidth()), tails)
}

func stateOf[T any](batch int, memories, tails []T) *State[T] {
	s := &State[T]{Batch: batch, Layers: make([]LayerState[T], len(memories)), memories: memories, tails: tails}
	for i := range s.Layers {
		s.Layers[i].Memory = memories[i]
		if len(tails) > 0 {
			s.Layers[i].Tail = tails[i]
		}
	}
	return s
}

// Rows is a view of the first sequences of a state. It owns nothing.
func (s *State[T]) Rows(ops Ops[T], batch int) *State[T] {
	rows := func(set []T) []T {
		views := make([]T, len(set))
		for i, t := range set {
			views[i] = ops.Rows(t, batch)
		}
		return views
	}
	return stateOf(batch, rows(s.memories), rows(s.tails))
}

// Zero forgets everything.
func (s *State[T]) Zero(ops Ops[T]) {
	for _, t := range s.memories {
		ops.Zero(t)
	}
	for _, t := range s.tails {
		ops.Zero(t)
	}
}

// CopyFrom makes s equal to another state of the same model and batch.
func (s *State[T]) CopyFrom(ops Ops[T], c Config, from *State[T]) {
	ops.CopySet(s.memories, from.memories, s.Batch*c.MemoryWidth*c.HeadWidth())
	ops.CopySet(s.tails, from.tails, s.Batch*ConvTail*3*c.MemoryWidth)
}

// Release gives the memory back.
func (s *State[T]) Release(ops Ops[T]) {
	ops.Release(s.memories...)
	ops.Release(s.tails...)
}
