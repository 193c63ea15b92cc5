package gpu

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rajveermalviya/go-webgpu/wgpu"
)

var (
	// ErrNoAdapter is returned when the machine offers no adapter that may be used; its text says what to install.
	ErrNoAdapter = errors.New("gpu: no usable GPU adapter: install the graphics driver of your GPU with its Vulkan part " +
		"(Debian and Ubuntu: mesa-vulkan-drivers for AMD, Intel and the software adapter, nvidia-driver for NVIDIA) " +
		"and the Vulkan loader (libvulkan1)")
	// ErrNoSuchAdapter is returned when none of the adapters found is the one asked for.
	ErrNoSuchAdapter = errors.New("gpu: no such adapter")
)

// Type says what kind of processor stands behind an adapter.
type Type string

// The types of adapter, best first.
const (
	Discrete   Type = "discrete"
	Integrated Type = "integrated"
	Unknown    Type = "unknown" // virtual GPUs among others
	CPU        Type = "cpu"     // a software driver
)

var typeOrder = []Type{Discrete, Integrated, Unknown, CPU}

// Limits are what an adapter allows, in bytes and counts.
type Limits struct {
	MaxBufferSize                   uint64 // bytes of one buffer
	MaxStorageBufferBindingSize     uint64 // bytes of a buffer that one kernel binding sees
	MaxStorageBuffersPerShaderStage uint32 // bindings of one kernel, parameters not counted
	MaxWorkgroupMemory              uint32 // bytes of var<workgroup>
	MaxInvocationsPerWorkgroup      uint32
	MaxWorkgroupsPerDimension       uint32
	StorageOffsetAlignment          uint32 // a binding's offset is a multiple of it
	UniformOffsetAlignment          uint32
}

// AdapterInfo describes one adapter. Index is what Options.Adapter takes; the list is ordered best first.
type AdapterInfo struct {
	Index      int
	Name       string
	Vendor     string
	Type       Type
	Backend    string // Vulkan, Metal or D3D12
	Driver     string
	Limits     Limits
	Timestamps bool // GPU timestamp queries are offered
}

// Hardware says whether the adapter is a GPU and not a software driver.
func (a AdapterInfo) Hardware() bool { return a.Type != CPU }

func (a AdapterInfo) String() string {
	return fmt.Sprintf("%d: %s (%s, %s, %s)", a.Index, a.Name, a.Type, a.Backend, a.Driver)
}

type adapter struct {
	handle *wgpu.Adapter
	info   AdapterInfo
}

// host is an instance of the drivers and the adapters that it found, best first.
type host struct {
	instance *wgpu.Instance
	adapters []adapter
}

func newHost() *host {
	quiet()
	h := &host{instance: wgpu.CreateInstance(&wgpu.InstanceDescriptor{
		Backends: wgpu.InstanceBackend_Vulkan | wgpu.InstanceBackend_Metal | wgpu.InstanceBackend_DX12,
	})}
	for _, a := range h.instance.EnumerateAdapters(nil) {
		h.adapters = append(h.adapters, adapter{a, describe(a)})
	}
	slices.SortStableFunc(h.adapters, func(a, b adapter) int {
		return cmp.Or(
			cmp.Compare(slices.Index(typeOrder, a.info.Type), slices.Index(typeOrder, b.info.Type)),
			cmp.Compare(b.info.Backend, a.info.Backend), // the same GPU by Vulkan before by D3D12
		)
	})
	for i := range h.adapters {
		h.adapters[i].info.Index = i
	}
	return h
}

func (h *host) release() {
	for _, a := range h.adapters {
		a.handle.Release()
	}
	h.instance.Release()
}

var quiet = sync.OnceFunc(func() {
	wgpu.SetLogLevel(wgpu.LogLevel_Off)
	quietDeviceSelection()
})

// spare is a host that looked for adapters and waits for the device that will be opened: starting the drivers takes a
// tenth of a second.
var spare struct {
	sync.Mutex
	*host
}

func takeHost() *host {
	spare.Lock()
	defer spare.Unlock()
	h := spare.host
	if spare.host = nil; h == nil {
		h = newHost()
	}
	return h
}

func giveHost(h *host) {
	spare.Lock()
	defer spare.Unlock()
	if spare.host == nil {
		spare.host = h
	} else {
		h.release()
	}
}

// found are the adapters of this machine; they are looked for once.
var found = sync.OnceValue(func() []AdapterInfo {
	h := takeHost()
	defer giveHost(h)
	list := make([]AdapterInfo, 0, len(h.adapters))
	for _, a := range h.adapters {
		list = append(list, a.info)
	}
	return list
})

// quietDeviceSelection turns off Mesa's device selection layer where it would look for a desktop, fail and say so on
// stderr. The layer only reorders GPUs, which this package does itself.
func quietDeviceSelection() {
	for _, name := range []string{"NODEVICE_SELECT", "XDG_RUNTIME_DIR", "MESA_VK_DEVICE_SELECT"} {
		if os.Getenv(name) != "" {
			return
		}
	}
	os.Setenv("NODEVICE_SELECT", "1")
}

// vendors are PCI identifiers, and Khronos' for those without one.
var vendors = map[uint32]string{
	0x1002: "AMD", 0x1010: "Imagination", 0x106B: "Apple", 0x10DE: "NVIDIA", 0x13B5: "ARM", 0x1414: "Microsoft",
	0x14E4: "Broadcom", 0x5143: "Qualcomm", 0x8086: "Intel", 0x10005: "Mesa",
}

func describe(a *wgpu.Adapter) AdapterInfo {
	p, l := a.GetProperties(), a.GetLimits().Limits
	info := AdapterInfo{
		Name:    p.Name,
		Vendor:  vendors[p.VendorId],
		Type:    Unknown,
		Backend: p.BackendType.String(),
		Driver:  strings.TrimSpace(p.VendorName + " " + p.DriverDescription),
		Limits: Limits{
			MaxBufferSize:                   l.MaxBufferSize,
			MaxStorageBufferBindingSize:     l.MaxStorageBufferBindingSize,
			MaxStorageBuffersPerShaderStage: l.MaxStorageBuffersPerShaderStage,
			MaxWorkgroupMemory:              l.MaxComputeWorkgroupStorageSize,
			MaxInvocationsPerWorkgroup:      l.MaxComputeInvocationsPerWorkgroup,
			MaxWorkgroupsPerDimension:       l.MaxComputeWorkgroupsPerDimension,
			StorageOffsetAlignment:          l.MinStorageBufferOffsetAlignment,
			UniformOffsetAlignment:          l.MinUniformBufferOffsetAlignment,
		},
		Timestamps: a.HasFeature(wgpu.FeatureName_TimestampQuery),
	}
	if info.Vendor == "" {
		info.Vendor = fmt.Sprintf("vendor %#x", p.VendorId)
	}
	switch p.AdapterType {
	case wgpu.AdapterType_DiscreteGPU:
		info.Type = Discrete
	case wgpu.AdapterType_IntegratedGPU:
		info.Type = Integrated
	case wgpu.AdapterType_CPU:
		info.Type = CPU
	}
	return info
}

// Adapters lists the adapters of this machine, best first; none is no error.
func Adapters() []AdapterInfo { return slices.Clone(found()) }

// HasHardware says whether the machine has a GPU that is not a software driver.
func HasHardware() bool {
	list := found()
	return len(list) > 0 && list[0].Hardware()
}

// selectAdapter finds the adapter that Options ask for in a list ordered best first.
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
