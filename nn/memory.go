package nn

import "fmt"

// LayerMemory is one layer's state of one sequence in host memory.
type LayerMemory struct {
	Shape     []int     // (d, d) tied, (h, c, c) delta
	W         []float32 // the learned matrix
	TailShape []int     // (3, 3, d) delta, nil tied
	Tail      []float32 // for key, query, value the last three inputs of the convolution, oldest first
}

// MemoryShapes are the shapes of a layer's matrix and of its tail, nil where there is none.
func (c Config) MemoryShapes() (matrix, tail []int) {
	if c.Delta() {
		return []int{c.Heads, c.HeadWidth(), c.HeadWidth()}, []int{3, ConvTail, c.MemoryWidth}
	}
	return []int{c.MemoryWidth, c.MemoryWidth}, nil
}

// Memory reads back what the only sequence has learned, a layer each.
func (s *Session[T]) Memory() ([]LayerMemory, error) {
	matrix, tail := s.model.Config.MemoryShapes()
	layers := make([]LayerMemory, len(s.state.Layers))
	for i, l := range s.state.Layers {
		m := LayerMemory{Shape: matrix, W: make([]float32, Count(matrix))}
		if err := s.model.Ops.Read(l.Memory, 0, m.W); err != nil {
			return nil, err
		}
		if tail != nil {
			m.TailShape, m.Tail = tail, make([]float32, Count(tail))
			if err := s.model.Ops.Read(l.Tail, 0, m.Tail); err != nil {
				return nil, err
			}
		}
		layers[i] = m
	}
	return layers, nil
}

// SetMemory replaces what the only sequence has learned; position is how many tokens it had read.
// A tail that is missing counts as zeros. Nothing is predicted until something is read, or SetPrediction.
func (s *Session[T]) SetMemory(layers []LayerMemory, position int64) error {
	c, ops := s.model.Config, s.model.Ops
	if len(layers) != c.Layers {
		return fmt.Errorf("memory of %d layers wanted, of %d found", c.Layers, len(layers))
	}
	matrix, tail := c.MemoryShapes()
	for i, m := range layers {
		if fmt.Sprint(m.Shape) != fmt.Sprint(matrix) || len(m.W) != Count(matrix) {
			return fmt.Errorf("memory of layer %d: shape %v wanted, %v found", i, matrix, m.Shape)
		}
		if m.Tail != nil && (fmt.Sprint(m.TailShape) != fmt.Sprint(tail) || len(m.Tail) != Count(tail)) {
			return fmt.Errorf("memory of layer %d: convolution of shape %v wanted, %v found", i, tail, m.TailShape)
		}
	}
	s.Reset()
	for i, m := range layers {
		ops.Write(s.state.Layers[i].Memory, 0, m.W)
		if m.Tail != nil {
			ops.Write(s.state.Layers[i].Tail, 0, m.Tail)
		}
	}
	s.read, s.finite = position, position
	return ops.Flush()
}

// Recent are the last tokens of the only sequence, the latest last: those that the repeat penalty sees.
func (s *Session[T]) Recent() []uint32 {
	n := s.mirror[RecentPushed]
	ids := make([]uint32, min(n, RecentWindow))
	for i := range ids {
		ids[i] = s.mirror[RecentRing+(n-uint32(len(ids)-i))%RecentWindow]
	}
	return ids
}

// SetPrediction completes SetMemory: logits (V) are those of the next token of the only sequence, recent its last ones.
func (s *Session[T]) SetPrediction(logits []float32, recent []uint32) error {
	Check("SetPrediction: logits", []int{len(logits)}, s.model.Config.Vocab)
	clear(s.mirror)
	for _, id := range recent {
		Push(s.mirror, id)
	}
	s.model.Ops.Write(s.logits, 0, logits)
	return s.model.Ops.Flush()
}

// Reset forgets everything that was read.
func (s *Session[T]) Reset() {
	s.state.Zero(s.model.Ops)
	s.model.Ops.Zero(s.logits)
	clear(s.mirror)
	s.read, s.finite = 0, 0
}

// Fork makes a session that goes on from here independently.
func (s *Session[T]) Fork() (*Session[T], error) {
	f, err := s.model.NewSession(s.batch, s.scan)
	if err != nil {
		return nil, err
	}
	ops := s.model.Ops
	f.state.CopyFrom(ops, s.model.Config, s.state)
	ops.Copy(f.logits, 0, s.logits, 0, s.batch*s.model.Config.Vocab)
	copy(f.mirror, s.mirror)
	f.read, f.finite = s.read, s.finite
	return f, ops.Flush()
}
