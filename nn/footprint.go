package nn

import (
	"math"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Footprint is the device memory that running a model takes, in bytes. It does not depend on how many tokens are read or
// written, but for a public family it depends on the context that sessions have room for.
type Footprint struct {
	Weights   int64 // ternary matrices at two bits, tables and gains in float32; for a public family see Config.Packing
	Workspace int64 // for a pass over many tokens, and the angles of the context's positions; shared by all sessions
	Session   int64 // per writing session: its states, and the keys and values of its context
	// Copies is a second copy of all blocks' weights, for devices that sample ahead and can take a token through all blocks in
	// one dispatch. Whether they do is measured when the model runs.
	Copies int64
}

// Footprint estimates the memory of a model and of sessions of `batch` sequences on a device that samples lookahead tokens
// ahead (the Lookahead of [op.Tensors]) and keeps snapshots to undo them. For N layers of width D, the weights take
//
//	Σ over BitLinear (rows·ceil(cols/4) + 4 per block) + 4·(2·V·D + gains)
//
// and the rest is what making a session allocates. For a public family the weights take WeightBytes of its usual packing.
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
	if lookahead > 1 && c.Decoder == nil && max(c.Width, c.MemoryWidth) <= op.WalkWidth {
		f.Copies = c.copies()
	}
	rows := newSession(c, op.Tensors[struct{}](m), batch, c.DefaultScan()).rows
	f.Workspace = taken(func() { new(workspace[struct{}]).grow(m, c, rows*batch) })
	f.Session = taken(func() {
		makeSlots(op.Tensors[struct{}](m), c, batch)
		s := newSession(c, op.Tensors[struct{}](m), batch, c.DefaultScan())
		if lookahead > 1 {
			s.makeSnapshots(m, c)
		}
	})
	return f
}

// copies returns the memory of a copy of the blocks' weights, with rows padded to 64 weights, and of their gains.
func (c Config) copies() (bytes int64) {
	for _, p := range Params(c) {
		switch {
		case p.Layer < 0:
		case p.Kind == layer.Linear:
			rows, pieces := int64(p.Shape[0]+3)/4*4, int64(p.Shape[1]+63)/64
			bytes += 16*rows*pieces + 4*int64(len(p.Names))
		default:
			bytes += 4 * int64(op.Count(p.Shape))
		}
	}
	return bytes
}
