package tuned

import (
	"fmt"
	"strconv"

	"bitgpu/gpu"
	"bitgpu/nn/webgpu"
)

// GPU is an opened adapter with its operations.
type GPU struct {
	*gpu.Device
	Ops  *webgpu.Ops
	done func()
}

// OpenAdapter opens the adapter that a string names as in [gpu.Options]; "" is the best one, or a software adapter if there
// is no other. The whole program opens GPUs here. Errors are those of [gpu.Open].
func OpenAdapter(adapter string) (*GPU, error) {
	device, err := gpu.Open(gpu.Options{Adapter: adapter, AllowSoftware: true})
	if err != nil {
		return nil, err
	}
	g := &GPU{Device: device}
	g.Ops, g.done = Open(device)
	return g, nil
}

// Close releases the operations, saves the measurements, and closes the device.
func (g *GPU) Close() {
	g.done()
	g.Device.Close()
}

// String names the device for users.
func (g *GPU) String() string {
	info := g.Info()
	kind := string(info.Type)
	if !info.Hardware() {
		kind = "software"
	}
	return fmt.Sprintf("%s (adapter %d, %s, %s)", info.Name, info.Index, kind, info.Backend)
}

// Choose opens a GPU as [OpenAdapter] does, with its errors. With auto and no adapter named, g is nil if no hardware GPU can
// be used. note says why, or that the GPU is a software driver; it is "" if there is nothing to explain.
func Choose(auto bool, adapter string) (g *GPU, note string, err error) {
	auto = auto && adapter == ""
	if auto && gpu.Supported() != nil {
		return nil, "this build has no GPU support", nil
	}
	if auto && !gpu.HasHardware() {
		return nil, "no hardware GPU was found", nil
	}
	g, err = OpenAdapter(adapter)
	switch {
	case err != nil && auto:
		return nil, Unusable(err), nil
	case err != nil:
		return nil, "", err
	case !g.Info().Hardware() && !named(adapter):
		note = "this is no hardware GPU but a software driver, slower than the CPU engine"
	}
	return g, note, nil
}

// Unusable is the note that says why an existing GPU is not used.
func Unusable(err error) string { return fmt.Sprintf("the GPU cannot be used: %v", err) }

// named reports whether the user chose the adapter by its kind or name, and so knows what it is.
func named(adapter string) bool {
	_, err := strconv.Atoi(adapter)
	return adapter != "" && err != nil
}
