package nn

// State is what a model remembers of the sequences it has read: its size does not depend on how
// much that was.
type State[T any] struct {
	Batch  int
	Layers []LayerState[T]
}

// LayerState is the memory of one layer.
type LayerState[T any] struct {
	Memory T // (B, h, c, c)
	Tail   T // (B, 3, 3, d) delta: for key, query, value the last three inputs of the convolution, oldest first
}

// NewState makes the state before anything was read: zeros.
func NewState[T any](ops Ops[T], c Config, batch int) *State[T] {
	s := &State[T]{Batch: batch, Layers: make([]LayerState[T], c.Layers)}
	for i, memory := range ops.NewSet(c.Layers, F32, batch, c.Heads, c.HeadWidth(), c.HeadWidth()) {
		s.Layers[i].Memory = memory
	}
	if c.Delta() {
		for i, tail := range ops.NewSet(c.Layers, F32, batch, 3, ConvTail, c.MemoryWidth) {
			s.Layers[i].Tail = tail
		}
	}
	return s
}

// each visits every tensor of the state with its number of elements.
func (s *State[T]) each(c Config, visit func(i int, tail bool, t T, n int)) {
	for i, l := range s.Layers {
		visit(i, false, l.Memory, s.Batch*c.MemoryWidth*c.HeadWidth())
		if c.Delta() {
			visit(i, true, l.Tail, s.Batch*ConvTail*3*c.MemoryWidth)
		}
	}
}

// Zero forgets everything.
func (s *State[T]) Zero(ops Ops[T], c Config) {
	s.each(c, func(_ int, _ bool, t T, _ int) { ops.Zero(t) })
}

// CopyFrom makes s equal to another state of the same model and batch.
func (s *State[T]) CopyFrom(ops Ops[T], c Config, from *State[T]) {
	s.each(c, func(i int, tail bool, t T, n int) {
		source := from.Layers[i].Memory
		if tail {
			source = from.Layers[i].Tail
		}
		ops.Copy(t, 0, source, 0, n)
	})
}

// Release gives the memory back.
func (s *State[T]) Release(ops Ops[T], c Config) {
	s.each(c, func(_ int, _ bool, t T, _ int) { ops.Release(t) })
}
