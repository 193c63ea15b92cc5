//go:build unix

package bitgpu

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
)

// TestCutWhileItLoads: a model's file that another program cuts after it was opened is an error that names it, to run it on any
// engine, to train it and to measure it.
func TestCutWhileItLoads(t *testing.T) {
	learn := device.CPU()
	defer learn.Close()
	for name, use := range map[string]func(l *storage.Loaded) error{
		"CPU": func(l *storage.Loaded) error {
			_, err := newModel(l, options{backend: CPU})
			return err
		},
		"GPU": func(l *storage.Loaded) error {
			_, err := newModel(l, options{backend: GPU, adapter: "software"})
			return err
		},
		"training": func(l *storage.Loaded) error {
			defer l.Close()
			_, err := learn.Learner(l.Config, train.DefaultOptions().Shape(), l.Weights)
			return err
		},
		"measuring": func(l *storage.Loaded) error {
			defer l.Close()
			_, err := learn.Evaluate(l.Config, nil, l.Weights, 1, 8, nil)
			return err
		},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/reference/d32-none")); err != nil {
			t.Fatal(err)
		}
		l, err := storage.Load(dir, storage.Options{Masters: true})
		if err != nil {
			t.Fatal(err)
		}
		weights := filepath.Join(dir, "model.safetensors")
		if err := os.Truncate(weights, 0); err != nil {
			t.Fatal(err)
		}
		err = use(l)
		if name == "GPU" && errors.Is(err, ErrNoGPU) {
			continue // nothing was read
		}
		if err == nil || !strings.Contains(err.Error(), weights+": the file was cut") {
			t.Errorf("%s: got %v, want an error that names %s", name, err, weights)
		}
	}
}
