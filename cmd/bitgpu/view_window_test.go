//go:build window

package main

import (
	"context"
	"os"
	"testing"

	"bitgpu/nn/storage"

	"github.com/go-gl/glfw/v3.3/glfw"
)

// A window opens, reads the whole text, obeys its keys, and saves a picture of what it shows.
func TestWindow(t *testing.T) {
	if os.Getenv("DISPLAY") == "" {
		t.Skip("there is no screen: DISPLAY is not set")
	}
	adapter := drawingAdapter(t)
	const name = "d32-delta"
	c, want := states(t, name, viewed)
	v, err := openView(model(name), storage.Options{}, viewed, false, 0, adapter)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	t.Chdir(t.TempDir())
	var saved []string
	shown, paused, closing := 0, 0, false
	err = v.openWindow(context.Background(), windowOptions{
		speed: 4,
		saved: func(path string) { saved = append(saved, path) },
		shown: func(w *window) {
			shown++
			switch {
			case shown == 2:
				w.press(glfw.KeySpace)
				paused = w.Position()
			case shown == 4:
				if w.Position() != paused {
					t.Errorf("%d tokens read while paused at %d", w.Position(), paused)
				}
				w.press(glfw.KeyLeft)
				if w.Selected() != c.Layers-1 {
					t.Errorf("layer %d left of 0", w.Selected())
				}
				for range 20 {
					w.press(glfw.KeyEqual)
				}
				w.press(glfw.KeyMinus)
				if w.speed != fastest/2 {
					t.Errorf("a speed of %g", w.speed)
				}
				w.press(glfw.KeySpace)
			case w.Position() == w.Tokens() && !closing:
				w.press(glfw.KeyS)
				w.press(glfw.KeyQ)
				closing = true
			case shown > 1000:
				t.Error("the text does not end")
				w.press(glfw.KeyQ)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(saved) != 1 {
		t.Fatalf("got %v, want one file", saved)
	}
	checkHeatMaps(t, readPNG(t, saved[0]), c, want, c.Layers-1)
}

// Nobody at the other end of DISPLAY, and a cancelled context.
func TestWindowEnds(t *testing.T) {
	adapter := drawingAdapter(t)
	display := os.Getenv("DISPLAY")
	t.Setenv("DISPLAY", ":4242")
	refuse(t, exitError, bitgpuRun("", "view", "-m", model("d32-none"), "-p", "x", "--adapter", adapter), "no window", ":4242")
	if display == "" {
		t.Skip("there is no screen: DISPLAY is not set")
	}
	t.Setenv("DISPLAY", display)
	v, err := openView(model("d32-none"), storage.Options{}, viewed, false, 0, adapter)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	ctx, cancel := context.WithCancel(context.Background())
	err = v.openWindow(ctx, windowOptions{speed: 1, shown: func(*window) { cancel() }})
	if exitCode(err) != exitInterrupted {
		t.Errorf("%v", err)
	}
}
