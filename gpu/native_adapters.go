//go:build cgo && (darwin || ((amd64 || (arm64 && wgpu22)) && (linux || windows)))

package gpu

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"bitgpu/gpu/internal/wgpu"
)

// native is an instance of wgpu-native.
type native struct {
	instance *wgpu.Instance
	adapters []*wgpu.Adapter
	sink     errorSink // of the device, once it is open
}

func init() {
	switch runtime.GOOS {
	case "darwin":
		api = "Metal"
	case "windows":
		api = "DX12 or Vulkan"
	default:
		api = "Vulkan"
	}
}

func newDriver() (driver, error) {
	quiet()
	instance := newInstance()
	return &native{instance: instance, adapters: instance.EnumerateAdapters(nil)}, nil
}

func (n *native) Adapters() []AdapterInfo {
	list := make([]AdapterInfo, len(n.adapters))
	for i, a := range n.adapters {
		list[i] = describe(a)
	}
	return list
}

func (n *native) Release() {
	for _, a := range n.adapters {
		a.Release()
	}
	n.instance.Release()
	if n.sink.first != nil {
		n.sink.free()
	}
	trim()
}

var quiet = sync.OnceFunc(func() {
	wgpu.SetLogLevel(wgpu.LogLevel_Off)
	quietDeviceSelection()
})

// quietDeviceSelection turns off Mesa's device selection layer where it would look for a desktop, fail and print that to
// stderr. The layer only reorders GPUs, which this package does itself.
func quietDeviceSelection() {
	for _, name := range []string{"NODEVICE_SELECT", "XDG_RUNTIME_DIR", "MESA_VK_DEVICE_SELECT"} {
		if os.Getenv(name) != "" {
			return
		}
	}
	os.Setenv("NODEVICE_SELECT", "1")
}

// vendors are PCI identifiers, and those of Khronos for vendors without one.
var vendors = map[uint32]string{
	0x1002: "AMD", 0x1010: "Imagination", 0x106B: "Apple", 0x10DE: "NVIDIA", 0x13B5: "ARM", 0x1414: "Microsoft",
	0x14E4: "Broadcom", 0x5143: "Qualcomm", 0x8086: "Intel", 0x10005: "Mesa",
}

func describe(a *wgpu.Adapter) AdapterInfo {
	p, backend := wgpu.Properties(a)
	l := a.GetLimits().Limits
	info := AdapterInfo{
		Name:    p.Name,
		Vendor:  vendors[p.VendorId],
		Type:    Unknown,
		Backend: backend,
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
