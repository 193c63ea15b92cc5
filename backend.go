package bitgpu

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"bitgpu/gpu"
	"bitgpu/io/hf"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/storage"
	"bitgpu/nn/webgpu/tuned"
)

// Backend is what a model computes on.
type Backend string

// The backends.
const (
	Auto Backend = "auto" // a hardware GPU if there is one, otherwise the CPU
	GPU  Backend = "gpu"
	CPU  Backend = "cpu"
)

// Option changes how a model is loaded.
type Option func(*options)

type options struct {
	backend  Backend
	adapter  string
	config   *Config
	context  int
	sessions int
	lora     []loraFile
	masters  string
	numbers  storage.Numbers
}

// WithBackend chooses what computes. The default is [Auto].
func WithBackend(b Backend) Option { return func(o *options) { o.backend = b } }

// WithAdapter chooses a GPU adapter by its number, part of its name, or "software". [Auto] then means [GPU].
func WithAdapter(adapter string) Option { return func(o *options) { o.adapter = adapter } }

// WithConfig says which model is expected: a file that contradicts c is refused with [ErrConfig]. It also describes a
// .safetensors file without a config.json beside it. The optional fields of c may be zero.
func WithConfig(c Config) Option { return func(o *options) { o.config = &c } }

// WithContext limits how many tokens a session of a public family has room for, and so the memory of its keys and values. 0
// means what the model was trained for, or less if that would take more than half of the free memory: see [Model.Context].
func WithContext(tokens int) Option { return func(o *options) { o.context = max(tokens, 0) } }

// WithSessions says how many sessions should fit at once: the context of a public family is chosen, or refused, so that all
// of them can be full. It limits nothing else. The default is 1.
func WithSessions(n int) Option { return func(o *options) { o.sessions = n } }

// WithMasters says that a directory contains the float masters of a ternary model although its config.json does not say so,
// as in Falcon-E's prequantized revisions, and how to round them: "half-up", as that family does, or "half-even".
func WithMasters(rounding string) Option { return func(o *options) { o.masters = rounding } }

// WithCache says how to store the keys and values of a public family: "f32", or "f16", which takes half the memory and rounds
// them. The default is f16 on a GPU and f32 on the CPU.
func WithCache(format string) Option { return func(o *options) { o.numbers.Cache = format } }

// WithActivations says how to treat the inputs of a public family's linear layers: "float", or "int8", which rounds them row
// by row and is faster on the CPU. The default is what the model was trained with: int8 for BitNet and similar models,
// otherwise float; a model trained with float gives slightly different results with int8.
func WithActivations(kind string) Option { return func(o *options) { o.numbers.Activations = kind } }

// storage returns the options for reading files.
func (o options) storage() (storage.Options, error) {
	s := storage.Options{Config: o.config, Context: o.context}
	if err := o.numbers.Check(); err != nil {
		return s, fmt.Errorf("%w: %w", ErrOption, err)
	}
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

// ParseBackend parses the name of a backend: auto, gpu or cpu, or, as torch names devices, cuda or cuda:N, which mean a GPU
// and its adapter N. The error is [ErrOption].
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
	return "", "", fmt.Errorf("%w: backend: got %q, want %s, %s or %s", ErrOption, name, Auto, GPU, CPU)
}

// place is what a model computes on.
type place struct {
	backend Backend
	device  string // a description for users
	note    string // why it was chosen, if that may be surprising
}

// openEngine loads the weights onto the backend that the options choose, and returns which that is. The engine owns l.
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
			d := l.Config.Decoder
			if d != nil && o.numbers.Cache == "" {
				d.HalfCache = true
			}
			e, err := onGPU(g, l)
			if err == nil || backend == GPU || adapter != "" {
				return e, p, err
			}
			if d != nil && o.numbers.Cache == "" {
				d.HalfCache = false
			}
			note = tuned.Unusable(err)
		}
	}
	e, err := newEngine(cpu.New(), l.Config, nn.Spend(l.Weights), l.Close)
	return e, place{CPU, cpu.DeviceName(), note}, err
}

// noGPU converts the errors of package gpu that mean that there is no usable adapter to [ErrNoGPU].
func noGPU(err error) error {
	if errors.Is(err, gpu.ErrNoAdapter) || errors.Is(err, gpu.ErrNoSuchAdapter) {
		return adapterError{err}
	}
	return err
}

// adapterError is ErrNoGPU with the text of package gpu.
type adapterError struct{ error }

func (e adapterError) Unwrap() []error { return []error{e.error, ErrNoGPU} }
