package bitgpu

import (
	"fmt"

	"bitgpu/gpu"
	"bitgpu/nn/storage"
	"bitgpu/nn/webgpu/tuned"
)

// openGPU loads the weights onto the adapter that the options ask for. It closes l when it succeeds: a GPU has its
// own copy of everything.
func openGPU(l *storage.Loaded, o options) (engine, string, error) {
	device, err := gpu.Open(gpu.Options{Adapter: o.adapter, AllowSoftware: true})
	if err != nil {
		return nil, "", noGPU(err)
	}
	ops, done := tuned.Open(device)
	e, err := newEngine(ops, l.Config, l.Weights, func() error {
		done()
		device.Close()
		return nil
	})
	if err != nil {
		done()
		device.Close()
		return nil, "", err
	}
	info := device.Info()
	kind := string(info.Type)
	if !info.Hardware() {
		kind = "software"
	}
	return e, fmt.Sprintf("%s (adapter %d, %s, %s)", info.Name, info.Index, kind, info.Backend), l.Close()
}
