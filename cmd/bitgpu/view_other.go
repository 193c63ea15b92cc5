//go:build window && !linux && !windows

package main

import (
	"errors"

	"bitgpu/gpu"

	"github.com/go-gl/glfw/v3.3/glfw"
)

func canOpenWindow() error {
	return errors.New("view: there is no window on this system yet: draw to files with --png DIR")
}

func nativeWindow(*glfw.Window) gpu.Window { return gpu.Window{} }
