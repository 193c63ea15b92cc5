//go:build cgo && !wgpu22 && (darwin || (amd64 && (linux || windows)))

package gpu

/*
#include <stdlib.h>
#include <string.h>

// Of wgpu-native, linked by the binding; handles are opaque pointers.
extern void wgpuDeviceSetUncapturedErrorCallback(void *device, void (*callback)(int, char const *, void *), void *userdata);

// The first error stays until it is taken.
static void bitgpu_on_error(int kind, char const *message, void *userdata) {
	char **first = userdata;
	if (*first == NULL) {
		*first = strdup(message);
	}
}

static void bitgpu_collect_errors(void *device, char **first) {
	wgpuDeviceSetUncapturedErrorCallback(device, bitgpu_on_error, first);
}
*/
import "C"

import "bitgpu/gpu/internal/wgpu"

func newInstance() *wgpu.Instance {
	return wgpu.CreateInstance(&wgpu.InstanceDescriptor{
		Backends: wgpu.InstanceBackend_Vulkan | wgpu.InstanceBackend_Metal | wgpu.InstanceBackend_DX12,
	})
}

// openDevice opens an adapter with all of its limits. Later errors that no call returns go to the sink.
func openDevice(a *wgpu.Adapter) (*wgpu.Device, errorSink, error) {
	desc := &wgpu.DeviceDescriptor{Label: "bitgpu", RequiredLimits: &wgpu.RequiredLimits{Limits: a.GetLimits().Limits}}
	if a.HasFeature(wgpu.FeatureName_TimestampQuery) {
		desc.RequiredFeatures = []wgpu.FeatureName{wgpu.FeatureName_TimestampQuery}
	}
	device, err := a.RequestDevice(desc)
	if err != nil {
		return nil, errorSink{}, failed(err)
	}
	sink := newErrorSink()
	C.bitgpu_collect_errors(handle(device), sink.first)
	return device, sink, nil
}

func (d *nativeDevice) Timestamp(query int) error {
	return failed(d.encoder.WriteTimestamp(d.queries, uint32(query)))
}

// chain holds the pictures of a surface.
type chain struct{ *wgpu.SwapChain }

func (s *nativeSurface) newChain(across, down int) (chain, error) {
	c, err := s.device.CreateSwapChain(s.surface, &wgpu.SwapChainDescriptor{
		Usage: wgpu.TextureUsage_RenderAttachment, Format: s.format, Width: uint32(across), Height: uint32(down),
		PresentMode: wgpu.PresentMode_Fifo, AlphaMode: wgpu.CompositeAlphaMode_Auto,
	})
	return chain{c}, err
}

// next returns the next picture.
func (c chain) next() (*wgpu.TextureView, error) { return c.GetCurrentTextureView() }

// present ends the picture, and shows it if asked.
func (c chain) present(show bool) {
	if show {
		c.SwapChain.Present()
	}
}

// release frees the pictures, if there are any.
func (c chain) release() {
	if c.SwapChain != nil {
		c.Release()
	}
}
