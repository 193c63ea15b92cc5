package bitgpu

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"bitgpu/gpu"
	"bitgpu/io/hf"
	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/storage"
	"bitgpu/nn/webgpu/tuned"
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
	context int
	lora    []loraFile
	masters string
}

// WithBackend chooses what computes, in the words of [ParseBackend]. The default is [Auto].
func WithBackend(b Backend) Option { return func(o *options) { o.backend = b } }

// WithAdapter chooses a GPU adapter by its number, a part of its name, or "software". [Auto] then means [GPU].
func WithAdapter(adapter string) Option { return func(o *options) { o.adapter = adapter } }

// WithConfig tells what model is expected: a file that c contradicts is refused with [ErrConfig]. It also describes a
// .safetensors file that has no config.json beside it. The optional fields of c may be left at zero.
func WithConfig(c Config) Option { return func(o *options) { o.config = &c } }

// WithContext bounds how many tokens a session of a public family has room for, and so the memory of its keys and values. 0 is
// what the model was made for, or less where that takes more than half of the memory that is free: see [Model.Context].
func WithContext(tokens int) Option { return func(o *options) { o.context = max(tokens, 0) } }

// WithMasters says that a directory has the float masters of a ternary model though its config.json does not say so, as
// Falcon-E's prequantized revisions, and how they are rounded: "half-up", as that family is, or "half-even".
func WithMasters(rounding string) Option { return func(o *options) { o.masters = rounding } }

// storage are the options of reading the files.
func (o options) storage() (storage.Options, error) {
	s := storage.Options{Config: o.config, Context: o.context}
	if o.masters != "" {
		r, err := hf.ParseRounding(o.masters)
		if err != nil {
			return s, fmt.Errorf("%w: masters: %w", ErrOption, err)
		}
		s.Rounding = &r
	}
	return s, nil
}

func newOptions(opts []Option) options {
	var o options
	for _, set := range opts {
		set(&o)
	}
	return o
}

// ParseBackend reads what a user calls a backend: auto, gpu or cpu, and as torch names devices, cuda and cuda:N, a GPU and
// its adapter N. The error is ErrOption.
func ParseBackend(name string) (b Backend, adapter string, err error) {
	switch b = Backend(name); b {
	case "":
		return Auto, "", nil
	case Auto, GPU, CPU:
		return b, "", nil
	case "cuda":
		return GPU, "", nil
	}
	if n, ok := strings.CutPrefix(name, "cuda:"); ok {
		if _, err := strconv.ParseUint(n, 10, 16); err == nil {
			return GPU, n, nil
		}
	}
	return "", "", fmt.Errorf("%w: backend: %s, %s or %s wanted, %q found", ErrOption, Auto, GPU, CPU, name)
}

// place is what a model computes on.
type place struct {
	backend Backend
	device  string // in words
	note    string // why that, where it may surprise
}

// openEngine loads the weights onto the backend that the options choose, and says which that is. The engine owns l.
func openEngine(l *storage.Loaded, o options) (engine, place, error) {
	backend, adapter, err := ParseBackend(string(o.backend))
	if err != nil {
		return nil, place{}, err
	}
	adapter = cmp.Or(o.adapter, adapter)
	note := ""
	if backend != CPU {
		var g *tuned.GPU
		if g, note, err = tuned.Choose(backend == Auto, adapter); err != nil {
			return nil, place{}, noGPU(err)
		}
		if g != nil {
			p := place{GPU, g.String(), note}
			e, err := onGPU(g, l)
			if err == nil || backend == GPU || adapter != "" {
				return e, p, err
			}
			note = tuned.Unusable(err)
		}
	}
	e, err := newEngine(cpu.New(), l.Config, l.Weights, l.Close)
	return e, place{CPU, fmt.Sprintf("CPU (%d threads, %v)", parallel.Workers(), simd.Active()), note}, err
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
