//go:build cgo && (darwin || ((amd64 || (arm64 && wgpu22)) && (linux || windows)))

package gpu

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Of wgpu-native, linked by the binding; handles are opaque pointers.
extern void wgpuQueueOnSubmittedWorkDone(void *queue, void (*callback)(int, void *), void *userdata);
extern void wgpuBufferMapAsync(void *buffer, uint32_t mode, size_t offset, size_t size, void (*callback)(int, void *), void *userdata);

static void bitgpu_on_end(int status, void *userdata) {
	*(int *)userdata = status;
}

static void bitgpu_map_read(void *buffer, size_t size, int *status) {
	wgpuBufferMapAsync(buffer, 1, 0, size, bitgpu_on_end, status);
}

static void bitgpu_work_done(void *queue, int *status) {
	wgpuQueueOnSubmittedWorkDone(queue, bitgpu_on_end, status);
}
*/
import "C"

import (
	"reflect"
	"unsafe"

	"bitgpu/gpu/internal/wgpu"
)

// handle returns the wgpu-native handle in one of the binding's structs, which keep it in an unexported field.
func handle(object any) unsafe.Pointer {
	return reflect.ValueOf(object).Elem().FieldByName("ref").UnsafePointer()
}

// errorSink receives the errors for which wgpu-native would otherwise abort the process.
type errorSink struct{ first **C.char }

func newErrorSink() errorSink { return errorSink{(**C.char)(C.calloc(1, C.sizeof_size_t))} }

// take returns the first error since the last take, or "".
func (s errorSink) take() string {
	if *s.first == nil {
		return ""
	}
	message := C.GoString(*s.first)
	C.free(unsafe.Pointer(*s.first))
	*s.first = nil
	return message
}

// free must be called after the last use of the device.
func (s errorSink) free() {
	C.free(unsafe.Pointer(*s.first))
	C.free(unsafe.Pointer(s.first))
}

// ending is the end of an asynchronous call. Its status is written while the device is polled.
type ending struct{ status *C.int }

func newEnding() ending {
	e := ending{(*C.int)(C.malloc(C.sizeof_int))}
	*e.status = C.int(pending)
	return e
}

// mapRead begins to map a buffer for reading.
func mapRead(buffer *wgpu.Buffer, size int) ending {
	e := newEnding()
	C.bitgpu_map_read(handle(buffer), C.size_t(size), e.status)
	return e
}

// workDone ends when everything submitted so far has ended.
func workDone(queue *wgpu.Queue) ending {
	e := newEnding()
	C.bitgpu_work_done(handle(queue), e.status)
	return e
}

// now returns the current status. wgpu-native uses 0 for the success of both maps and work.
func (e ending) now() status { return status(*e.status) }

// free must be called after the end.
func (e ending) free() { C.free(unsafe.Pointer(e.status)) }
