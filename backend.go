package bitgpu

import (
	"errors"
	"fmt"

	"bitgpu/gpu"
	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/storage"
)

// Backend is what computes.
type Backend string

// The backends.
const (
	Auto Backend = "auto" // a hardware GPU if there is one, else the CPU
	GPU  Backend = "gpu"
	CPU  Backend = "cpu"
)

// Option changes how a model is loaded.
type Option func(*options)

type options struct {
	backend Backend
	adapter string
	config  *Config
}

// WithBackend chooses what computes. The default is [Auto].
func WithBackend(b Backend) Option { return func(o *options) { o.backend = b } }

// WithAdapter chooses a GPU adapter by its number, a part of its name, or "software". [Auto] then means [GPU].
func WithAdapter(adapter string) Option { return func(o *options) { o.adapter = adapter } }

// WithConfig tells what model is expected: a file that c contradicts is refused with [ErrConfig]. It also describes a
// .safetensors file that has no config.json beside it. The optional fields of c may be left at zero.
func WithConfig(c Config) Option { return func(o *options) { o.config = &c } }

func newOptions(opts []Option) options {
	var o options
	for _, set := range opts {
		set(&o)
	}
	return o
}

// openEngine loads the weights onto the backend that the options choose, and says which that is. The engine owns l.
func openEngine(l *storage.Loaded, o options) (engine, Backend, string, error) {
	note := ""
	switch o.backend {
	case CPU:
	case GPU:
		e, device, err := openGPU(l, o)
		return e, GPU, device, err
	case Auto, "":
		if o.adapter != "" {
			e, device, err := openGPU(l, o)
			return e, GPU, device, err
		}
		if !gpu.HasHardware() {
			break
		}
		e, device, err := openGPU(l, o)
		if err == nil {
			return e, GPU, device, nil
		}
		note = fmt.Sprintf("; the GPU cannot be used: %v", err)
	default:
		return nil, "", "", fmt.Errorf("%w: backend: %s, %s or %s wanted, %q found", ErrOption, Auto, GPU, CPU, o.backend)
	}
	e, err := newEngine(cpu.New(), l.Config, l.Weights, l.Close)
	device := fmt.Sprintf("CPU (%d threads, %v)%s", parallel.Workers(), simd.Active(), note)
	return e, CPU, device, err
}

// noGPU marks the errors of package gpu that mean that there is no adapter to be used.
func noGPU(err error) error {
	if errors.Is(err, gpu.ErrNoAdapter) || errors.Is(err, gpu.ErrNoSuchAdapter) {
		return adapterError{err}
	}
	return err
}

// adapterError is ErrNoGPU with the words of package gpu.
type adapterError struct{ error }

func (e adapterError) Unwrap() []error { return []error{e.error, ErrNoGPU} }
