package nn

import (
	"math"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Footprint is the device memory that running a model takes, in bytes. No part of it depends on
// how many tokens are read or written, but that of a public family on the context that there is room for.
type Footprint struct {
	Weights   int64 // ternary matrices at two bits, tables and gains in float32; of a public family see Config.Packing
	Workspace int64 // of a pass over many tokens; all sessions share it, and the angles of the context's positions
	Session   int64 // for each session that writes: its states, and the keys and values of its context
}

// Footprint counts what a model of this configuration takes with sessions of a batch, on a device that samples so many tokens
// ahead (the Lookahead of [op.Memory]), which takes snapshots to undo them. The weights are, for N layers of width D,
//
//	Σ over BitLinear (rows·ceil(cols/4) + 4 a block) + 4·(2·V·D + gains)
//
// and the rest is what making a session asks for. Those of a public family are WeightBytes of its usual packing.
func (c Config) Footprint(batch, lookahead int) Footprint {
	m := &op.Meter{Ahead: lookahead}
	taken := func(make func()) int64 {
		before := m.Bytes
		make()
		return int64(min(m.Bytes-before, math.MaxInt64/2))
	}
	var f Footprint
	if c.Decoder != nil {
		f.Weights = c.WeightBytes(c.Packing())
	} else {
		f.Weights = taken(func() {
			for _, p := range Params(c) {
				if p.Kind == layer.Linear {
					m.NewTernary(p.Shape[0], p.Shape[1], len(p.Names), false)
				} else {
					m.New(op.F32, p.Shape...)
				}
			}
		})
	}
	s := newSession(c, op.Memory[struct{}](m), batch, c.DefaultScan())
	f.Workspace = taken(func() { new(workspace[struct{}]).grow(m, c, s.rows*batch) })
	f.Session = taken(func() {
		s := newSession(c, op.Memory[struct{}](m), batch, c.DefaultScan())
		if lookahead > 1 {
			s.makeSnapshots(m, c)
		}
	})
	return f
}
