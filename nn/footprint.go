package nn

import "bitgpu/nn/ternary"

// Footprint is the device memory that running a model takes, in bytes. No part of it depends on
// how many tokens are read or written.
type Footprint struct {
	Weights   int64 // ternary matrices at two bits, tables and gains in float32
	Workspace int64 // of a pass over many tokens; all sessions share it
	Session   int64 // for each session
}

// Footprint counts what a model of this configuration takes with sessions of a batch. The weights
// are, for N layers of width D,
//
//	Σ over BitLinear (rows·ceil(cols/4) + 4 a block) + 4·(2·V·D + gains)
//
// and the rest is counted by making sessions on a backend that only adds up.
func (c Config) Footprint(batch int) Footprint {
	var f Footprint
	Walk(c, new(Weights[struct{}]), func(p Param, _ *struct{}) {
		if p.Kind == Linear {
			f.Weights += int64(p.Shape[0])*int64(ternary.RowBytes(p.Shape[1])) + 4*int64(len(p.Names))
		} else {
			f.Weights += 4 * int64(Count(p.Shape))
		}
	})
	m := new(meter)
	model := &Model[int]{Config: c, Ops: m}
	for range 2 { // the first session of a model makes the workspace
		before := m.bytes
		if _, err := model.NewSession(batch, c.DefaultScan()); err == nil {
			f.Workspace, f.Session = f.Session, m.bytes-before
		}
	}
	f.Workspace -= f.Session
	return f
}

// meter is a backend without tensors that counts the bytes of those asked for. The operations
// that compute are not there, and making a session calls none.
type meter struct {
	Ops[int]
	bytes int64
}

func (m *meter) New(_ Format, shape ...int) int {
	m.bytes += 4 * int64(Count(shape))
	return 0
}

func (m *meter) NewSet(n int, f Format, shape ...int) []int {
	set := make([]int, n)
	for i := range set {
		set[i] = m.New(f, shape...)
	}
	return set
}

func (m *meter) Rows(int, int) int { return 0 }
func (m *meter) Lookahead() int    { return 1 }
func (m *meter) Flush() error      { return nil }
