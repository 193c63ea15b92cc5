package nn

import (
	"fmt"
	"slices"

	"bitgpu/nn/op"
)

// LayerMemory is one block's state for one sequence, in host memory.
type LayerMemory struct {
	Shape     []int     // (d, d) tied, (h, c, c) delta
	W         []float32 // the learned matrix
	TailShape []int     // (3, 3, d) delta, nil tied
	Tail      []float32 // the last three inputs of the convolutions of key, query and value, oldest first
}

// MemoryShapes returns the shapes of a block's matrix and of its tail, nil where it has none.
func (c Config) MemoryShapes() (matrix, tail []int) {
	shapes := NewState(op.Tensors[struct{}](new(op.Meter)), c, 1).shapes(0)
	if len(shapes) > 1 {
		tail = shapes[1]
	}
	return shapes[0], tail
}

// shapes returns the shapes of a block's state for one sequence.
func (s *State[T]) shapes(block int) (all [][]int) {
	for _, p := range s.parts {
		if p.block == block {
			all = append(all, p.shape)
		}
	}
	return all
}

// of returns the tensors of a block's state.
func (s *State[T]) of(block int) (all []T) {
	for _, p := range s.parts {
		if p.block == block {
			all = append(all, p.tensor)
		}
	}
	return all
}

// Memory downloads what the only sequence has learned, one entry per block.
func (s *Session[T]) Memory() ([]LayerMemory, error) {
	layers := make([]LayerMemory, s.model.Config.Layers)
	for i := range layers {
		m := &layers[i]
		shapes, tensors := s.home.state.shapes(i), s.home.state.of(i)
		m.Shape, m.W = shapes[0], make([]float32, op.Count(shapes[0]))
		if err := s.model.Backend.Download(tensors[0], s.slot*len(m.W), m.W); err != nil {
			return nil, err
		}
		if len(tensors) > 1 {
			m.TailShape, m.Tail = shapes[1], make([]float32, op.Count(shapes[1]))
			if err := s.model.Backend.Download(tensors[1], s.slot*len(m.Tail), m.Tail); err != nil {
				return nil, err
			}
		}
	}
	return layers, nil
}

// SetMemory replaces what the only sequence has learned; position is how many tokens it had read. A missing tail counts as
// zeros. There is no prediction until something is read, or SetPrediction is called.
func (s *Session[T]) SetMemory(layers []LayerMemory, position int64) error {
	b := s.model.Backend
	if len(layers) != s.model.Config.Layers {
		return fmt.Errorf("got a memory of %d layers, want %d", len(layers), s.model.Config.Layers)
	}
	for i, m := range layers {
		shapes := s.home.state.shapes(i)
		if !slices.Equal(m.Shape, shapes[0]) || len(m.W) != op.Count(shapes[0]) {
			return fmt.Errorf("memory of layer %d: got shape %v, want %v", i, m.Shape, shapes[0])
		}
		if m.Tail != nil && (len(shapes) < 2 || !slices.Equal(m.TailShape, shapes[1]) || len(m.Tail) != op.Count(shapes[1])) {
			var want []int
			if len(shapes) > 1 {
				want = shapes[1]
			}
			return fmt.Errorf("memory of layer %d: got a convolution of shape %v, want %v", i, m.TailShape, want)
		}
	}
	s.Reset()
	for i, m := range layers {
		tensors := s.home.state.of(i)
		b.Write(tensors[0], s.slot*len(m.W), m.W)
		if m.Tail != nil {
			b.Write(tensors[1], s.slot*len(m.Tail), m.Tail)
		}
	}
	s.moveTo(position)
	s.finite = position
	return b.Flush()
}

// Kept describes a tensor that a block keeps for each sequence. If it grows, the first axis of Shape is the number of tokens
// that there is room for.
type Kept struct {
	Block int
	Name  string // as in StateTensor.Name, without the block
	Shape []int  // of one sequence
	Grows bool
}

// Kept lists what sessions of a model keep, in the order of the data flow.
func (c Config) Kept() (list []Kept) {
	for _, p := range NewState(op.Tensors[struct{}](new(op.Meter)), c, 1).parts {
		list = append(list, Kept{p.block, p.name, p.shape, p.grows})
	}
	return list
}

// Kept returns the tensor (slots, shape…) of that name and block, which changes as the session reads. If it is the model's
// only session it uses the first slot, and the tensor stays valid until another session begins.
func (s *Session[T]) Kept(block int, name string) (tensor T, ok bool) {
	for _, p := range s.home.state.parts {
		if p.block == block && p.name == name {
			return p.tensor, true
		}
	}
	return tensor, false
}

// StateTensor is a part of the memory that a model of a public family has of one sequence: key.N and value.N (tokens, G, c)
// for a layer with attention, state.N (V, v, k) and conv.N (taps−1, channels) for one with the gated delta rule.
type StateTensor struct {
	Name   string
	Shape  []int
	Values []float32
}

// described returns a part of the state after `tokens` tokens, with name and shape but without numbers.
func (s *Session[T]) described(p statePart[T], tokens int64) StateTensor {
	t := StateTensor{Name: fmt.Sprintf("%s.%d", p.name, p.block), Shape: p.shape}
	if d := s.model.Config.Decoder; p.grows {
		t.Shape = []int{int(tokens), d.KVHeads, d.HeadWidth}
	}
	return t
}

// States downloads the memory of a public family's only sequence: keys, values, and the states of the gated delta rule.
func (s *Session[T]) States() ([]StateTensor, error) {
	var all []StateTensor
	for _, p := range s.home.state.parts {
		t := s.described(p, s.read)
		t.Values = make([]float32, op.Count(t.Shape))
		if err := s.model.Backend.Download(p.tensor, s.slot*op.Count(p.shape), t.Values); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// SetStates replaces the memory of a public family's only sequence, which has read position tokens. The error is [ErrContext]
// if there is no room for that many tokens, or it names the state whose shape does not fit.
func (s *Session[T]) SetStates(states []StateTensor, position int64) error {
	if capacity := int64(s.model.Config.Capacity()); position > capacity {
		return fmt.Errorf("%w: got a memory of %d tokens, want %d at most", ErrContext, position, capacity)
	}
	given := map[string]StateTensor{}
	for _, t := range states {
		given[t.Name] = t
	}
	for _, p := range s.home.state.parts {
		want := s.described(p, position)
		got, ok := given[want.Name]
		if !ok || !slices.Equal(got.Shape, want.Shape) || len(got.Values) != op.Count(want.Shape) {
			return fmt.Errorf("%s: got shape %v, want %v", want.Name, got.Shape, want.Shape)
		}
	}
	if len(given) != len(s.home.state.parts) {
		return fmt.Errorf("got %d states, want %d", len(given), len(s.home.state.parts))
	}
	s.Reset()
	for _, p := range s.home.state.parts {
		s.model.Backend.Write(p.tensor, s.slot*op.Count(p.shape), given[s.described(p, position).Name].Values)
	}
	s.moveTo(position)
	s.finite = position
	return s.model.Backend.Flush()
}

// Recent returns the last tokens of the only sequence, the latest last: those that the repeat penalty looks at.
func (s *Session[T]) Recent() []uint32 {
	n := s.mirror[op.RecentPushed]
	ids := make([]uint32, min(n, op.RecentWindow))
	for i := range ids {
		ids[i] = s.mirror[op.RecentRing+(n-uint32(len(ids)-i))%op.RecentWindow]
	}
	return ids
}

// SetPrediction completes SetMemory: logits (V) predict the next token of the only sequence, recent are its last tokens.
func (s *Session[T]) SetPrediction(logits []float32, recent []uint32) error {
	op.Check("SetPrediction: logits", []int{len(logits)}, s.model.Config.Vocab)
	clear(s.mirror)
	for _, id := range recent {
		op.Push(s.mirror, id)
	}
	s.dirty = true
	s.model.Backend.Write(s.home.logits, s.slot*len(logits), logits)
	return s.model.Backend.Flush()
}

// Reset forgets everything that was read.
func (s *Session[T]) Reset() {
	V := s.model.Config.Vocab
	s.home.state.zero(s.model.Backend, s.slot, s.batch)
	s.model.Backend.ZeroPart(s.home.logits, s.slot*V, s.batch*V)
	clear(s.mirror)
	s.moveTo(0)
	s.finite = 0
}

// Fork makes a session with the same memory, in the same [Batch], that continues independently.
func (s *Session[T]) Fork() (*Session[T], error) {
	var f *Session[T]
	var err error
	if s.home.fixed {
		f, err = s.model.NewSession(s.batch, s.scan)
	} else {
		f, err = s.home.NewSession()
	}
	if err != nil {
		return nil, err
	}
	b, V := s.model.Backend, s.model.Config.Vocab
	f.home.state.copyFrom(b, f.slot, s.home.state, s.slot, s.batch)
	f.home.state.copyGrown(b, f.slot, s.home.state, s.slot, s.batch, int(s.read))
	b.Copy(f.home.logits, f.slot*V, s.home.logits, s.slot*V, s.batch*V)
	b.Copy(f.home.rules, f.slot*op.RulesSize, s.home.rules, s.slot*op.RulesSize, s.batch*op.RulesSize)
	copy(f.mirror, s.mirror)
	copy(f.row, s.row)
	b.Copy(f.next, 0, s.next, 0, s.batch)
	f.moveTo(s.read)
	f.finite, f.drawn = s.finite, s.drawn
	return f, b.Flush()
}
