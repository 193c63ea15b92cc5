package nn

import (
	"errors"
	"fmt"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// DefaultChunk is how many tokens the exact scan takes together by default. It
// changes the speed, never the result.
const DefaultChunk = 16

// Model is a configuration with its weights on a backend.
type Model[T any] struct {
	Config  Config
	Backend op.Backend[T]
	Weights *Weights[T]
	Low     Weights[T] // of the configuration's adapter
	work    workspace[T]

	begun, sessions int      // sessions ever, and those not closed
	ids             []uint32 // room for a token of each session of a pass
	turn            []*Session[T]
	borrowed        bool // the weights are another model's
}

// NewModel loads host weights onto a backend as they are: packed ternary stays packed; Linear
// parameters in float32 are packed first (op.PackTernary).
func NewModel[T any](b op.Backend[T], c Config, host *Weights[op.HostTensor]) (*Model[T], error) {
	m := &Model[T]{Config: c, Backend: b}
	if c.Adapter != nil && !b.Has(&op.LowRank[T]{}) {
		return nil, fmt.Errorf("%s cannot apply low-rank adapters as yet; the CPU can", b.Name())
	}
	if c.Adapter != nil && c.Adapter.Inside {
		return nil, errors.New("got an adapter inside the quantiser, want masters that it was merged into")
	}
	m.Weights = Load(b, c, host)
	if c.Adapter != nil {
		for i, p := range AdapterParams(c) {
			op.Check(p.Names[0], c.Adapter.Weights[i].Shape, p.Shape...)
			m.Low = append(m.Low, b.Load(c.Adapter.Weights[i]))
		}
	}
	if err := b.Flush(); err != nil {
		return nil, fmt.Errorf("loading the weights onto the device: %w", err)
	}
	return m, nil
}

// Load loads host weights as NewModel does.
func Load[T any](b op.Tensors[T], c Config, host *Weights[op.HostTensor]) *Weights[T] {
	quantizers := c.Quantizers()
	return MapWeights(c, host, func(p Param, t op.HostTensor) T {
		if q, ok := quantizers[p.Names[0]]; ok && t.Format == op.F32 {
			t = q.Pack(t)
		}
		t.Int8 = p.Kind == layer.Linear && c.Decoder != nil && c.Decoder.Int8
		op.Check(p.Names[0], t.Shape, p.Shape...)
		return b.Load(t)
	})
}

// As is a model with the same weights by another configuration, which differs in how activations or caches are rounded. It is
// released before m is, and leaves the weights.
func (m *Model[T]) As(c Config) *Model[T] {
	return &Model[T]{Config: c, Backend: m.Backend, Weights: m.Weights, Low: m.Low, borrowed: true}
}

// Spend marks host weights of a public model as being loaded once and never read again.
func Spend(w *Weights[op.HostTensor]) *Weights[op.HostTensor] {
	for i := range *w {
		(*w)[i].Spare = (*w)[i].Group > 0 // such codes never are a file's own memory
	}
	return w
}

// Release gives the model's memory back. Its sessions have been closed before.
func (m *Model[T]) Release() {
	m.work.release(m.Backend)
	if m.borrowed {
		return
	}
	m.Backend.Release(*m.Weights...)
	m.Backend.Release(m.Low...)
}

// DefaultScan is the rule by which inference reads: the exact one.
func (c Config) DefaultScan() op.Scan {
	return op.Scan{Chunk: DefaultChunk, Rate: float32(c.InnerLR)}
}

// TrainingScan is the rule that the configuration names.
func (c Config) TrainingScan() op.Scan {
	s := c.DefaultScan()
	if c.Rule == RuleMinibatch {
		s.Chunk, s.Minibatch = c.Chunk, true
	}
	return s
}
