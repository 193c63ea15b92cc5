//go:build !window

package main

import (
	"context"
	"errors"
	"runtime"
)

var errNoWindow = noWindow(runtime.GOOS)

// noWindow says what a window requires on a system.
func noWindow(system string) error {
	needs := ""
	switch system {
	case "linux":
		needs = ", which needs the packages libx11-dev, libgl-dev, libxcursor-dev, libxrandr-dev, libxinerama-dev, libxi-dev and " +
			"libxxf86vm-dev on Debian"
	case "windows":
		needs = ", which needs a C compiler such as MinGW-w64's"
	case "darwin":
		needs = ", which needs Xcode's command line tools"
	}
	return errors.New("view: this build has no window: build it with go build -tags window ./cmd/bitgpu" + needs +
		", or draw to files with --png DIR")
}

// windowOptions is empty in builds without a window.
type windowOptions struct {
	speed float64
	saved func(path string)
}

func canOpenWindow() error { return errNoWindow }

func (v *viewer) openWindow(context.Context, windowOptions) error { return errNoWindow }
