package bitgpu

import (
	"errors"

	"bitgpu/gpu"
	"bitgpu/nn/storage"
)

// openGPU loads the weights onto the adapter that the options ask for. It closes l when it succeeds: a GPU has its
// own copy of everything.
func openGPU(l *storage.Loaded, o options) (engine, string, error) {
	device, err := gpu.Open(gpu.Options{Adapter: o.adapter, AllowSoftware: true})
	if err != nil {
		return nil, "", noGPU(err)
	}
	device.Close()
	return nil, "", errors.New("gpu: this build has no engine for GPUs; --backend cpu runs on the CPU")
}
