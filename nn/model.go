package nn

import (
	"errors"
	"fmt"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// DefaultChunk is how many tokens the exact scan takes at once by default. It affects the speed, never the result.
const DefaultChunk = 16

// Model is a configuration with its weights on a backend.
type Model[T any] struct {
	Config  Config
	Backend op.Executor[T]
	Weights *Weights[T]
	Low     Weights[T] // of the configuration's adapter
	work    workspace[T]

	batches         []*Batch[T] // those not yet closed, and those of single sessions
	begun, sessions int         // sessions made so far, and those not yet closed
	ids             []uint32    // scratch memory: a token for each session of a pass
	turn            []*Session[T]
	borrowed        bool // the weights belong to another model
}

// NewModel loads host weights onto a backend in their format: packed ternary weights stay packed; Linear parameters in
// float32 are packed first (op.PackTernary).
func NewModel[T any](b op.Executor[T], c Config, host *Weights[op.HostTensor]) (*Model[T], error) {
	m := &Model[T]{Config: c, Backend: b}
	if c.Adapter != nil && len(c.Adapter.Ranks) > 0 && !b.Has(&op.LowRank[T]{}) {
		return nil, fmt.Errorf("%s cannot apply low-rank adapters as yet; the CPU can", b.Name())
	}
	if c.Adapter != nil && c.Adapter.Inside {
		return nil, errors.New("got an adapter inside the quantiser, want masters that it was merged into")
	}
	m.Weights = Load(b, c, c.Adapter.Replaced(c, host))
	if c.Adapter != nil {
		for i, p := range AdapterParams(c) {
			op.Check(p.Names[0], c.Adapter.Weights[i].Shape, p.Shape...)
			if !p.Whole {
				m.Low = append(m.Low, b.Load(c.Adapter.Weights[i]))
			}
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

// As returns a model with the same weights and another configuration, which may differ in how activations or caches are
// rounded. It must be released before m and does not release the weights.
func (m *Model[T]) As(c Config) *Model[T] {
	return &Model[T]{Config: c, Backend: m.Backend, Weights: m.Weights, Low: m.Low, borrowed: true}
}

// Spend marks host weights of a public model as loaded only once and not read afterwards.
func Spend(w *Weights[op.HostTensor]) *Weights[op.HostTensor] {
	for i := range *w {
		(*w)[i].Spare = (*w)[i].Group > 0 // these codes are never part of a file
	}
	return w
}

// Release frees the model's memory. Close its sessions first.
func (m *Model[T]) Release() {
	m.work.release(m.Backend)
	if m.borrowed {
		return
	}
	m.Backend.Release(*m.Weights...)
	m.Backend.Release(m.Low...)
}

// DefaultScan returns the rule for inference: the exact one.
func (c Config) DefaultScan() op.Scan {
	return op.Scan{Chunk: DefaultChunk, Rate: float32(c.InnerLR)}
}

// TrainingScan returns the rule that the configuration names.
func (c Config) TrainingScan() op.Scan {
	s := c.DefaultScan()
	if c.Rule == RuleMinibatch {
		s.Chunk, s.Minibatch = c.Chunk, true
	}
	return s
}
