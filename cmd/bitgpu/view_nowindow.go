//go:build !window

package main

import (
	"context"
	"errors"
)

var errNoWindow = errors.New("view: this build has no window: build it with go build -tags window ./cmd/bitgpu, " +
	"which needs the packages libx11-dev, libgl-dev, libxcursor-dev, libxrandr-dev, libxinerama-dev, libxi-dev and " +
	"libxxf86vm-dev on Debian, or draw to files with --png DIR")

// windowOptions are those of builds with a window.
type windowOptions struct {
	speed float64
	saved func(path string)
}

func canOpenWindow() error { return errNoWindow }

func (v *viewer) openWindow(context.Context, windowOptions) error { return errNoWindow }
