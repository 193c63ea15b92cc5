package gpu

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

var (
	// ErrNoAdapter is returned when the machine has no usable adapter. Its text says what to install.
	ErrNoAdapter = errors.New("gpu: no usable GPU adapter: " + howToInstall(runtime.GOOS))
	// ErrNoSuchAdapter is returned when none of the adapters found is the one asked for.
	ErrNoSuchAdapter = errors.New("gpu: no such adapter")
	// ErrNoDriver is returned by a program built without support for any GPU. It wraps ErrNoAdapter.
	ErrNoDriver error = noDriver{}
)

// howToInstall says what to install on a system to make a GPU usable.
func howToInstall(system string) string {
	const driver = "install the graphics driver of your GPU"
	switch system {
	case "windows":
		return driver + " from its maker; DirectX 12 or Vulkan is needed"
	case "darwin":
		return "Metal offers none; a Mac of 2012 or later with macOS 10.13 or later has one"
	case "js":
		return "the browser has WebGPU, but offers it no GPU of this machine: update the graphics driver, or see whether the " +
			"browser's settings switch its use of the GPU off"
	case "linux":
		return driver + " with its Vulkan part (Debian and Ubuntu: mesa-vulkan-drivers for AMD, Intel and the software adapter, " +
			"nvidia-driver for NVIDIA) and the Vulkan loader (libvulkan1)"
	}
	return driver
}

type noDriver struct{}

func (noDriver) Error() string {
	return "gpu: this build has no GPU support: it was built without cgo, or for a system that the WebGPU library is not made for"
}

func (noDriver) Unwrap() error { return ErrNoAdapter }

// Type is the kind of processor behind an adapter.
type Type string

// The types of adapter, best first.
const (
	Discrete   Type = "discrete"
	Integrated Type = "integrated"
	Unknown    Type = "unknown" // virtual GPUs, among others
	CPU        Type = "cpu"     // a software driver
)

var typeOrder = []Type{Discrete, Integrated, Unknown, CPU}

// Limits are an adapter's limits, in bytes and counts.
type Limits struct {
	MaxBufferSize                   uint64 // bytes of a buffer
	MaxStorageBufferBindingSize     uint64 // bytes of a buffer that one binding of a kernel can cover
	MaxStorageBuffersPerShaderStage uint32 // bindings of one kernel, not counting parameters
	MaxWorkgroupMemory              uint32 // bytes of var<workgroup>
	MaxInvocationsPerWorkgroup      uint32
	MaxWorkgroupsPerDimension       uint32
	StorageOffsetAlignment          uint32 // offsets of bindings must be multiples of this
	UniformOffsetAlignment          uint32
}

// AdapterInfo describes an adapter. Options.Adapter accepts its Index, the position in a list that has the best adapter
// first.
type AdapterInfo struct {
	Index      int
	Name       string
	Vendor     string
	Type       Type
	Backend    string // Vulkan, Metal or D3D12; WebGPU in a browser, which does not say
	Driver     string
	Limits     Limits
	Timestamps bool // supports timestamp queries
}

// Hardware reports whether the adapter is a GPU, as opposed to a software driver.
func (a AdapterInfo) Hardware() bool { return a.Type != CPU }

func (a AdapterInfo) String() string {
	return fmt.Sprintf("%d: %s (%s, %s, %s)", a.Index, a.Name, a.Type, a.Backend, a.Driver)
}

type adapter struct {
	place int // position in the driver's list
	info  AdapterInfo
}

// host is an instance of the driver with the adapters that it found, best first.
type host struct {
	driver
	adapters []adapter
}

func newHost() (*host, error) {
	d, err := newDriver()
	if err != nil {
		return nil, err
	}
	h := &host{driver: d}
	for i, info := range d.Adapters() {
		h.adapters = append(h.adapters, adapter{i, info})
	}
	slices.SortStableFunc(h.adapters, func(a, b adapter) int {
		return cmp.Or(
			cmp.Compare(slices.Index(typeOrder, a.info.Type), slices.Index(typeOrder, b.info.Type)),
			cmp.Compare(b.info.Backend, a.info.Backend), // the same GPU: Vulkan before D3D12
		)
	})
	for i := range h.adapters {
		h.adapters[i].info.Index = i
	}
	return h, nil
}

// spare is a host that has looked for adapters and is kept for the device that will be opened, because starting the drivers
// takes a tenth of a second.
var spare struct {
	sync.Mutex
	*host
}

func takeHost() (*host, error) {
	spare.Lock()
	defer spare.Unlock()
	h := spare.host
	if spare.host = nil; h == nil {
		return newHost()
	}
	return h, nil
}

func giveHost(h *host) {
	spare.Lock()
	defer spare.Unlock()
	if spare.host == nil {
		spare.host = h
	} else {
		h.Release()
	}
}

// found lists the adapters of this machine. The search runs once.
var found = sync.OnceValues(func() (list []AdapterInfo, err error) {
	h, err := takeHost()
	if err != nil {
		return nil, err
	}
	defer giveHost(h)
	for _, a := range h.adapters {
		list = append(list, a.info)
	}
	return list, nil
})

// Adapters lists the adapters of this machine, best first. Finding none is not an error.
func Adapters() []AdapterInfo {
	list, _ := found()
	return slices.Clone(list)
}

// api is set by the driver in this build.
var api string

// API names the graphics interfaces through which this build reaches GPUs; "" means no GPU support.
func API() string { return api }

// Supported returns ErrNoDriver in a program built without support for any GPU, otherwise nil.
func Supported() error {
	_, err := found()
	return err
}

// HasHardware reports whether the machine has a GPU that is not a software driver.
func HasHardware() bool {
	list, _ := found()
	return len(list) > 0 && list[0].Hardware()
}

// selectAdapter finds the adapter that the options ask for in a list with the best first.
func selectAdapter(list []adapter, o Options) (adapter, error) {
	if len(list) == 0 {
		return adapter{}, ErrNoAdapter
	}
	match := func(info AdapterInfo) bool { return o.AllowSoftware || info.Hardware() }
	if o.Adapter != "" {
		want := strings.ToLower(o.Adapter)
		index, err := strconv.Atoi(want)
		switch {
		case err == nil:
			match = func(info AdapterInfo) bool { return info.Index == index }
		case want == "software":
			match = func(info AdapterInfo) bool { return !info.Hardware() }
		default:
			match = func(info AdapterInfo) bool { return strings.Contains(strings.ToLower(info.Name), want) }
		}
	}
	for _, a := range list {
		if match(a.info) {
			return a, nil
		}
	}
	var found []string
	for _, a := range list {
		found = append(found, a.info.String())
	}
	have := strings.Join(found, "; ")
	if o.Adapter == "" {
		return adapter{}, fmt.Errorf("%w; there is only a software adapter, used when asked for by name or as \"software\": %s",
			ErrNoAdapter, have)
	}
	return adapter{}, fmt.Errorf("%w: %q; found %s", ErrNoSuchAdapter, o.Adapter, have)
}
