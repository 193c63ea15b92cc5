package bitgpu

import (
	"bitgpu/nn/storage"
	"bitgpu/nn/webgpu/tuned"
)

// onGPU loads the weights onto an opened GPU, which the engine owns. On success it closes l, because a GPU has its own copy
// of everything.
func onGPU(g *tuned.GPU, l *storage.Loaded) (engine, error) {
	e, err := newEngine(g.Ops, l.Config, l.Weights, func() error {
		g.Close()
		return nil
	})
	if err != nil {
		g.Close()
		return nil, err
	}
	return e, l.Close()
}
