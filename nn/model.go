package nn

import "fmt"

// DefaultChunk is how many tokens the exact scan takes together where nobody says otherwise. It
// changes the speed, never the result.
const DefaultChunk = 16

// Model is a configuration with its weights on a backend.
type Model[T any] struct {
	Config  Config
	Ops     Ops[T]
	Weights *Weights[T]
	work    workspace[T]
}

// NewModel loads host weights onto a backend as they are: packed ternary stays packed; Linear
// parameters in float32 are packed first (PackTernary).
func NewModel[T any](ops Ops[T], c Config, host *Weights[HostTensor]) (*Model[T], error) {
	m := &Model[T]{Config: c, Ops: ops}
	m.Weights = MapWeights(c, host, func(p Param, t HostTensor) T {
		if p.Kind == Linear && t.Format == F32 {
			t = PackTernary(t, len(p.Names), c.WeightScale == ScaleAbsmean)
		}
		Check(p.Names[0], t.Shape, p.Shape...)
		return ops.Load(t)
	})
	if err := ops.Flush(); err != nil {
		return nil, fmt.Errorf("loading the weights onto the device: %w", err)
	}
	return m, nil
}

// Release gives the model's memory back. Its sessions have been closed before.
func (m *Model[T]) Release() {
	m.work.release(m.Ops, m.Config)
	Walk(m.Config, m.Weights, func(_ Param, t *T) { m.Ops.Release(*t) })
}

// DefaultScan is the rule by which inference reads: the exact one.
func (c Config) DefaultScan() Scan {
	return Scan{Chunk: DefaultChunk, Rate: float32(c.InnerLR)}
}

// TrainingScan is the rule that the configuration names.
func (c Config) TrainingScan() Scan {
	s := c.DefaultScan()
	if c.Rule == RuleMinibatch {
		s.Chunk, s.Minibatch = c.Chunk, true
	}
	return s
}
