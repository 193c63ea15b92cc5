//go:build window

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"runtime"
	"strings"
	"time"

	"bitgpu/gpu"
	"bitgpu/view"

	"github.com/go-gl/glfw/v3.3/glfw"
)

const windowHelp = "space: pause   arrows: layer   + -: speed   S: save a PNG   Q: quit"

// Limits of the speed in tokens per second.
const (
	slowest = 0.25
	fastest = 4096
)

// frameTime is the shortest time between pictures if the screen does not set a pace.
const frameTime = time.Second / 60

// windowOptions are the options of openWindow.
type windowOptions struct {
	speed float64           // tokens per second
	saved func(path string) // called for each file
	shown func(w *window)   // called after each picture, or nil
}

// window is the state of an open window that keys change.
type window struct {
	*viewer
	windowOptions
	handle *glfw.Window
	paused bool
	err    error // caused by a key

	due     float64 // tokens that should have been read by now
	counted time.Time
	count   int     // tokens read since counted
	rate    float64 // tokens per second
}

// openWindow shows the view until Q is pressed, the window closed or the context cancelled.
func (v *viewer) openWindow(ctx context.Context, o windowOptions) error {
	// A window belongs to the thread that made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := startGLFW(); err != nil {
		return fmt.Errorf("view: no window: %w", err)
	}
	defer glfw.Terminate()
	glfw.WindowHint(glfw.ClientAPI, glfw.NoAPI) // the surface belongs to WebGPU
	handle, err := glfw.CreateWindow(view.Width, view.Height, "bitgpu view", nil, nil)
	if err != nil {
		return fmt.Errorf("view: no window: %w", err)
	}
	defer handle.Destroy()
	surface := v.device.NewSurface(nativeWindow(handle))
	defer surface.Release()
	w := &window{viewer: v, windowOptions: o, handle: handle, counted: time.Now()}
	handle.SetKeyCallback(func(_ *glfw.Window, key glfw.Key, _ int, action glfw.Action, mods glfw.ModifierKey) {
		if action != glfw.Release {
			w.press(key)
		}
	})
	return w.run(ctx, surface)
}

// startGLFW is glfw.Init, which only logs that there is no screen, and panics at the next call.
func startGLFW() error {
	var logged bytes.Buffer
	was := log.Writer()
	log.SetOutput(&logged)
	err := glfw.Init()
	log.SetOutput(was)
	if _, reason, failed := strings.Cut(logged.String(), "PlatformError: "); failed && err == nil {
		return errors.New(strings.TrimSpace(reason))
	}
	return err
}

func (w *window) run(ctx context.Context, surface *gpu.Surface) error {
	last := time.Now()
	for !w.handle.ShouldClose() && w.err == nil {
		if ctx.Err() != nil {
			return errInterrupted
		}
		now := time.Now()
		if err := w.readDue(now.Sub(last)); err != nil {
			return err
		}
		last = now
		picture := w.Draw(w.status())
		across, down := w.handle.GetFramebufferSize()
		surface.Show(picture, view.Width, view.Height, across, down)
		if w.device.Err() != nil {
			return w.device.Flush()
		}
		if w.shown != nil {
			w.shown(w)
		}
		if w.idle() {
			glfw.WaitEventsTimeout(0.25)
			last = time.Now()
			continue
		}
		time.Sleep(frameTime - time.Since(now))
		glfw.PollEvents()
	}
	return w.err
}

// readDue reads as many tokens as the speed requires for the time passed. What a slow device cannot read within a tenth of a
// second is skipped, so that keys keep working.
func (w *window) readDue(passed time.Duration) error {
	start := time.Now()
	if !w.paused {
		w.due += w.speed * passed.Seconds()
	}
	for ; w.due >= 1; w.due-- {
		more, err := w.Advance()
		if err != nil {
			return err
		}
		if !more || time.Since(start) > time.Second/10 {
			w.due = 0
			break
		}
		w.count++
	}
	since := time.Since(w.counted)
	if w.idle() || since > time.Second/2 {
		if !w.idle() {
			w.rate = float64(w.count) / since.Seconds()
		}
		w.counted, w.count = time.Now(), 0
	}
	return nil
}

// idle reports whether nothing is being read.
func (w *window) idle() bool { return w.paused || w.Position() == w.Tokens() }

func (w *window) status() view.Status {
	s := view.Status{Rate: w.rate, Help: windowHelp, Note: fmt.Sprintf("of %.4g", w.speed)}
	switch {
	case w.Position() == w.Tokens():
		s.Note = "end"
	case w.paused:
		s.Note = "paused"
	}
	return s
}

// press does what a key stands for.
func (w *window) press(key glfw.Key) {
	switch key {
	case glfw.KeySpace:
		w.paused = !w.paused
	case glfw.KeyRight, glfw.KeyDown:
		w.Select(w.Selected() + 1)
	case glfw.KeyLeft, glfw.KeyUp:
		w.Select(w.Selected() - 1)
	case glfw.KeyEqual, glfw.KeyKPAdd:
		w.speed = min(2*w.speed, fastest)
	case glfw.KeyMinus, glfw.KeyKPSubtract:
		w.speed = max(w.speed/2, slowest)
	case glfw.KeyS:
		path := w.frameName()
		if w.err = w.save(path); w.err == nil {
			w.saved(path)
		}
	case glfw.KeyQ, glfw.KeyEscape:
		w.handle.SetShouldClose(true)
	}
}
