package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// ID names a model by its sizes and by the weights that its memories depend on, the ternary key projections. All files
// of a model, packed or not, get the same name; other weights get another.
func (l *Loaded) ID() string {
	h := sha256.New()
	nn.Walk(l.Config, l.Weights, func(p nn.Param, t *op.HostTensor) {
		if l.Public != nil { // only a part of each matrix: hashing gigabytes would take too long
			h.Write(t.Codes[:min(len(t.Codes), 1<<12)])
			return
		}
		if strings.HasSuffix(p.Names[0], ".ttt.down.weight") {
			h.Write(t.Codes)
		}
	})
	if a := l.Config.Adapter; a != nil { // it affects what memories contain
		for _, t := range a.Weights {
			binary.Write(h, binary.LittleEndian, t.F32)
		}
	}
	return fmt.Sprintf("%dx%d-%x", l.Config.Width, l.Config.Layers, h.Sum(nil)[:8])
}

// MastersID names a model by its sizes and by its floats, for a training that goes on from them: unlike for [Loaded.ID], it matters
// what is rounded to the same ternary weights. The model was loaded with [Options].Masters.
func (l *Loaded) MastersID() string {
	h := sha256.New()
	nn.Walk(l.Config, l.Weights, func(_ nn.Param, t *op.HostTensor) {
		floats := t.F32
		if l.Public != nil {
			floats = floats[:min(len(floats), 1<<10)] // as above
		}
		binary.Write(h, binary.LittleEndian, floats)
	})
	return fmt.Sprintf("%dx%d-%x", l.Config.Width, l.Config.Layers, h.Sum(nil)[:8])
}
