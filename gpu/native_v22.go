//go:build cgo && wgpu22 && (amd64 || arm64) && (darwin || linux || windows)

package gpu

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Of wgpu-native 22, linked by the binding; handles are opaque pointers. The binding's own way to make an instance leaves
// what it does not set to chance, and its request for a device has no place for a handler of errors, without which they end
// the process.
typedef struct {
	struct { void const *next; uint32_t type; } chain;
	uint32_t backends, flags, dx12_compiler, gles3_minor_version;
	char const *dxil_path, *dxc_path;
} bitgpu_instance_extras;

typedef struct {
	void const *next;
	uint64_t limits[18]; // as they are given
} bitgpu_limits;

typedef struct {
	void const *next;
	char const *label;
	size_t feature_count;
	uint32_t const *features;
	bitgpu_limits const *limits;
	struct { void const *next; char const *label; } queue;
	void (*on_lost)(int, char const *, void *);
	void *lost_data;
	struct { void const *next; void (*callback)(int, char const *, void *); void *data; } errors;
} bitgpu_device;

typedef struct {
	void *device;
	char *message;
} bitgpu_answer;

extern void *wgpuCreateInstance(void const **descriptor); // whose only field is the next of its chain
extern uint32_t wgpuAdapterGetLimits(void *adapter, bitgpu_limits *limits);
extern void wgpuAdapterRequestDevice(void *adapter, bitgpu_device const *descriptor, void (*callback)(int, void *, char const *, void *), void *userdata);
extern void wgpuTextureRelease(void *texture);

typedef struct {
	void const *next;
	char const *label;
	struct { void *queries; uint32_t at_begin, at_end; } const *timestamps;
} bitgpu_pass;

extern void *wgpuCommandEncoderBeginComputePass(void *encoder, bitgpu_pass const *descriptor);
extern void wgpuComputePassEncoderEnd(void *pass);
extern void wgpuComputePassEncoderRelease(void *pass);

// An empty pass with a timestamp at its beginning: outside of passes there are none any more.
static void bitgpu_timestamp(void *encoder, void *queries, uint32_t query) {
	bitgpu_pass descriptor = {0};
	__typeof__(*descriptor.timestamps) timestamps = {queries, query, UINT32_MAX};
	descriptor.timestamps = &timestamps;
	void *pass = wgpuCommandEncoderBeginComputePass(encoder, &descriptor);
	wgpuComputePassEncoderEnd(pass);
	wgpuComputePassEncoderRelease(pass);
}

static void *bitgpu_instance(uint32_t backends) {
	bitgpu_instance_extras extras = {.chain = {NULL, 0x00030006}, .backends = backends};
	void const *next = &extras;
	return wgpuCreateInstance(&next);
}

// The first error stays until it is taken.
static void bitgpu_on_error(int kind, char const *message, void *userdata) {
	char **first = userdata;
	if (*first == NULL) {
		*first = strdup(message != NULL ? message : "an error without a message");
	}
}

static void bitgpu_on_lost(int reason, char const *message, void *userdata) {}

static void bitgpu_on_device(int status, void *device, char const *message, void *userdata) {
	bitgpu_answer *answer = userdata;
	if (status == 0) {
		answer->device = device;
	} else {
		answer->message = strdup(message != NULL ? message : "the device cannot be opened");
	}
}

// wgpu-native answers before it returns.
static bitgpu_answer bitgpu_open(void *adapter, uint32_t const *features, size_t feature_count, char **first) {
	bitgpu_limits limits = {0};
	wgpuAdapterGetLimits(adapter, &limits);
	limits.next = NULL;
	bitgpu_device descriptor = {.label = "bitgpu", .feature_count = feature_count, .features = features, .limits = &limits, .on_lost = bitgpu_on_lost};
	descriptor.errors.callback = bitgpu_on_error;
	descriptor.errors.data = first;
	bitgpu_answer answer = {0};
	wgpuAdapterRequestDevice(adapter, &descriptor, bitgpu_on_device, &answer);
	return answer;
}
*/
import "C"

import (
	"unsafe"

	"bitgpu/gpu/internal/wgpu"
)

func newInstance() *wgpu.Instance {
	i := &wgpu.Instance{}
	*(*unsafe.Pointer)(unsafe.Pointer(i)) = C.bitgpu_instance(C.uint32_t(wgpu.InstanceBackend_Vulkan | wgpu.InstanceBackend_Metal | wgpu.InstanceBackend_DX12)) // the struct has only this field
	return i
}

// openDevice opens an adapter with all of its limits. Later errors that no call returns go to the sink.
func openDevice(a *wgpu.Adapter) (*wgpu.Device, errorSink, error) {
	sink := newErrorSink()
	var features []C.uint32_t
	if a.HasFeature(wgpu.FeatureName_TimestampQuery) {
		features = append(features, C.uint32_t(wgpu.FeatureName_TimestampQuery))
	}
	answer := C.bitgpu_open(handle(a), unsafe.SliceData(features), C.size_t(len(features)), sink.first)
	if answer.device == nil {
		defer C.free(unsafe.Pointer(answer.message))
		sink.free()
		return nil, errorSink{}, oneLine(C.GoString(answer.message))
	}
	device := &wgpu.Device{}
	*(*unsafe.Pointer)(unsafe.Pointer(device)) = answer.device // the struct has only this field
	return device, sink, nil
}

func (d *nativeDevice) Timestamp(query int) error {
	C.bitgpu_timestamp(handle(d.encoder), handle(d.queries), C.uint32_t(query))
	return d.Late()
}

// chain holds the pictures of a surface.
type chain struct {
	surface *wgpu.Surface // nil before the first Resize
	texture unsafe.Pointer
}

func (s *nativeSurface) newChain(across, down int) (chain, error) {
	s.surface.Configure(s.adapter, s.device, &wgpu.SurfaceConfiguration{
		Usage: wgpu.TextureUsage_RenderAttachment, Format: s.format, Width: uint32(across), Height: uint32(down),
		PresentMode: wgpu.PresentMode_Fifo, AlphaMode: wgpu.CompositeAlphaMode_Auto,
	})
	return chain{surface: s.surface}, nil
}

// next returns the next picture.
func (c *chain) next() (*wgpu.TextureView, error) {
	texture, err := c.surface.GetCurrentTexture()
	if err != nil || handle(texture) == nil {
		return &wgpu.TextureView{}, err
	}
	c.texture = handle(texture)
	return texture.CreateView(nil)
}

// present ends the picture, and shows it if asked.
func (c *chain) present(show bool) {
	if show {
		c.surface.Present()
	}
	C.wgpuTextureRelease(c.texture) // the binding's function would release the device too
	c.texture = nil
}

// release has nothing to do: the pictures belong to the surface.
func (c *chain) release() {}
