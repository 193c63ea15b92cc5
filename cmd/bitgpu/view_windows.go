//go:build window

package main

import (
	"syscall"
	"unsafe"

	"bitgpu/gpu"

	"github.com/go-gl/glfw/v3.3/glfw"
)

func canOpenWindow() error { return nil }

func nativeWindow(w *glfw.Window) gpu.Window {
	instance, _, _ := syscall.NewLazyDLL("kernel32.dll").NewProc("GetModuleHandleW").Call(0)
	// A handle is not a Go pointer, so its bits are copied.
	return gpu.Window{Instance: *(*unsafe.Pointer)(unsafe.Pointer(&instance)), HWND: unsafe.Pointer(w.GetWin32Window())}
}
