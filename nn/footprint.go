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
	// Copies are the weights of all blocks once more, for a device that samples ahead and may take a token through all of them at
	// once; whether it does, it measures.
	Copies int64
}

// Footprint counts what a model of this configuration takes with sessions of a batch, on a device that samples so many tokens
// ahead (the Lookahead of [op.Tensors]), which takes snapshots to undo them. The weights are, for N layers of width D,
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

// copies is the memory of the blocks' weights, in rows of whole pieces of 64 weights, and of their gains.
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
