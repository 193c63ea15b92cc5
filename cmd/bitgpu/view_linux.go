//go:build window

package main

import (
	"errors"
	"os"
	"unsafe"

	"bitgpu/gpu"

	"github.com/go-gl/glfw/v3.3/glfw"
)

// canOpenWindow checks before anything is loaded. Without a display GLFW panics.
func canOpenWindow() error {
	if os.Getenv("DISPLAY") == "" {
		return errors.New("view: there is no screen: DISPLAY is not set; xvfb-run makes one, and --png DIR draws to files without")
	}
	return nil
}

func nativeWindow(w *glfw.Window) gpu.Window {
	return gpu.Window{XDisplay: unsafe.Pointer(glfw.GetX11Display()), XWindow: uint32(w.GetX11Window())}
}
