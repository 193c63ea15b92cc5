package train

import (
	"math/rand/v2"
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// NewAdapter makes a low-rank adapter of rank r and with α for the matrices of a model that choose selects. Its initial
// values come from a seed: A as in PEFT, B zeros, so that it changes nothing at first.
func NewAdapter(c nn.Config, rank int, alpha float64, choose func(name string) bool, seed uint64) *nn.Adapter {
	a := &nn.Adapter{Ranks: map[string]int{}, Scale: float32(alpha / float64(rank))}
	for _, m := range nn.Matrices(c) {
		if choose(m.Name) {
			a.Ranks[m.Name] = rank
		}
	}
	c.Adapter = a
	normal := rand.New(rand.NewPCG(seed, 0)).NormFloat64
	for _, p := range nn.AdapterParams(c) {
		h := op.HostTensor{Format: op.F32, Shape: p.Shape, F32: make([]float32, op.Count(p.Shape))}
		p.Init(h.F32, normal)
		a.Weights = append(a.Weights, h)
	}
	return a
}

// AddWhole makes an adapter hold whole parameters too, those of nn.Saveable with a gradient that choose selects. They begin as the model's.
func AddWhole(a *nn.Adapter, c nn.Config, weights *nn.Weights[op.HostTensor], choose func(name string) bool) {
	may := map[string]bool{}
	for _, p := range nn.Saveable(c) {
		may[p.Names[0]] = !p.Fixed && choose(p.Names[0])
	}
	a.Whole = map[string]bool{}
	nn.Walk(c, weights, func(p nn.Param, h *op.HostTensor) {
		if name := p.Names[0]; may[name] {
			a.Whole[name] = true
			a.Weights = append(a.Weights, op.HostTensor{Format: op.F32, Shape: h.Shape, F32: slices.Clone(h.Float32s())})
		}
	})
}

// makeAdapter makes the trained parameters, A, B and whole ones, over weights that are loaded unchanged. Without weights they
// are zeros.
func (l *Learner[T]) makeAdapter(weights *nn.Weights[op.HostTensor]) {
	c, m := l.config, l.ops
	if weights != nil {
		weights = c.Adapter.Replaced(c, weights)
	}
	switch {
	case c.Adapter.Inside:
		defer l.mergeInside(l.loadMasters(weights))
	case weights != nil:
		*l.use = *nn.Load(m, c, weights)
	default:
		packing := nn.Packing{}
		if c.Decoder != nil { // as files of the family usually have it
			packing = c.Packing()
		}
		for _, p := range nn.Params(c) {
			ternary := p.Kind == layer.Linear || p.Kind == layer.Table && packing.Tables == op.Ternary
			switch {
			case c.Adapter.Whole[p.Names[0]]:
				*l.use = append(*l.use, m.New(op.F32, p.Shape...))
			case ternary && packing.Group > 0 && p.Shape[1]%packing.Group == 0:
				*l.use = append(*l.use, m.NewGroups(p.Shape[0], p.Shape[1], packing.Group))
			case ternary:
				*l.use = append(*l.use, m.NewTernary(p.Shape[0], p.Shape[1], len(p.Names), true))
			case p.Kind == layer.Table && c.Decoder != nil:
				*l.use = append(*l.use, m.New(op.F16, p.Shape...))
			default:
				*l.use = append(*l.use, m.New(op.F32, p.Shape...))
			}
		}
	}
	l.owned = append(l.owned, *l.use...)
	*l.grads = make(nn.Weights[T], len(*l.use))
	at := map[string]int{} // where a parameter of the model is
	for i, p := range nn.Params(c) {
		at[p.Names[0]] = i
	}
	for i, p := range nn.AdapterParams(c) {
		x := param[T]{Param: p.Param}
		switch {
		case p.Whole:
			x.master = (*l.use)[at[p.Names[0]]]
		case weights != nil:
			x.master = l.own(m.Load(c.Adapter.Weights[i]))
		default:
			x.master = l.zeros(p.Shape...)
		}
		x.use = x.master
		l.makeMoments(&x)
		l.params = append(l.params, x)
		if p.Whole {
			(*l.grads)[at[p.Names[0]]] = x.grad
		} else {
			l.low, l.dlow = append(l.low, x.use), append(l.dlow, x.grad)
		}
	}
}

// loadMasters makes the masters of ternary parameters, and room for their ternary form; other parameters stay unchanged. It
// returns the quantising operations by the first of a parameter's names. Without weights they are zeros.
func (l *Learner[T]) loadMasters(weights *nn.Weights[op.HostTensor]) map[string]*op.Quantize[T] {
	c, m := l.config, l.ops
	quantizers, all := c.Quantizers(), map[string]*op.Quantize[T]{}
	for i, p := range nn.Params(c) {
		var t T
		if weights != nil {
			t = m.Load((*weights)[i])
		} else {
			t = m.New(op.F32, p.Shape...)
		}
		if q, ok := quantizers[p.Names[0]]; ok {
			l.own(t)
			use, quantize := nn.NewTernary(m, q, p, t)
			all[p.Names[0]], t = quantize, use
		}
		*l.use = append(*l.use, t)
	}
	return all
}

// mergeInside makes the quantising operations add the adapters to the masters first, in memory that matrices of one shape
// share.
func (l *Learner[T]) mergeInside(all map[string]*op.Quantize[T]) {
	at, params := map[string]int{}, nn.AdapterParams(l.config)
	for i := 0; i < len(params) && !params[i].Whole; i += 2 {
		at[params[i].Names[0]] = i
	}
	rooms := map[[2]int]T{}
	for _, p := range nn.Params(l.config) {
		quantize := all[p.Names[0]]
		if quantize == nil {
			continue
		}
		if i, ok := at[p.Names[0]]; ok {
			shape := [2]int(p.Shape)
			if _, made := rooms[shape]; !made {
				rooms[shape] = l.zeros(p.Shape...)
			}
			l.inside.Add(&op.LowRankMerge[T]{
				W: rooms[shape], Base: quantize.W, A: l.low[i], B: l.low[i+1], Blocks: params[i].Blocks, Scale: l.config.Adapter.Scale,
			})
			quantize.W = rooms[shape]
		}
		l.inside.Add(quantize)
	}
}

// Adapter returns the adapter in its current state.
func (l *Learner[T]) Adapter() (*nn.Adapter, error) {
	w, err := l.Download(Masters)
	if err != nil {
		return nil, err
	}
	a := *l.config.Adapter
	a.Weights = nil
	for _, h := range *w {
		h.F32 = append([]float32(nil), h.F32...)
		a.Weights = append(a.Weights, h)
	}
	return &a, nil
}

// places are the tensors that sequences of a model with attention share: all begin at position 0.
type places[T any] struct{ position, angles T }

func newPlaces[T any](m op.Tensors[T], c nn.Config, batch, time int, own func(T) T) (p places[T]) {
	if d := c.Decoder; d != nil {
		p = places[T]{own(m.New(op.U32, batch)), own(m.New(op.F32, time, d.Rope.Width))}
	}
	return p
}

func (p places[T]) fill(m op.Tensors[T], c nn.Config, time int) {
	if d := c.Decoder; d != nil {
		m.Write(p.angles, 0, d.Rope.Angles(0, time))
	}
}

// of returns the tensors for `sequences` sequences, as Binding.Shared needs them.
func (p places[T]) of(m op.Tensors[T], sequences int) func(layer.Shared) T {
	return func(which layer.Shared) (none T) {
		switch which {
		case layer.Position:
			return m.Rows(p.position, sequences)
		case layer.Angles:
			return p.angles
		}
		return none
	}
}
