package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/atomicfile"
	"bitgpu/nn/train"
)

// diskFullAfter lets every change of the file system fail from the nth on.
func diskFullAfter(t *testing.T, n int) {
	t.Helper()
	atomicfile.Fault = func(string) error {
		if n--; n >= 0 {
			return nil
		}
		return errors.New("no space left on device")
	}
	t.Cleanup(func() { atomicfile.Fault = nil })
}

// TestFailedTrainingLeavesNothing: whatever change of the file system a training fails at before its first checkpoint, nothing
// stays that it has made, and what was there before stays.
func TestFailedTrainingLeavesNothing(t *testing.T) {
	text := rhyme(t)
	for n := 0; ; n++ {
		dir := filepath.Join(t.TempDir(), "new")
		diskFullAfter(t, n)
		r := bitgpuRun("", small("--data", text, "--vocab-size", "300", "--steps", "1", "--output-dir", dir, "--tensorboard", filepath.Join(dir, "board"))...)
		atomicfile.Fault = nil
		if found, err := train.Checkpoints(dir); err != nil || len(found) > 0 {
			if n < 20 {
				t.Errorf("a checkpoint after %d changes (%v): was there a fault?", n, err)
			}
			break
		}
		if r.code != exitError || !strings.Contains(r.err, "no space left on device") {
			t.Fatalf("%d changes: got %d, %s", n, r.code, r.err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); exists(dir) {
			t.Errorf("%d changes: left %v", n, left)
		}
	}

	dir := t.TempDir()
	mine := filepath.Join(dir, dataName, "mine.txt")
	if err := errors.Join(os.Mkdir(filepath.Dir(mine), 0o755), os.WriteFile(mine, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	diskFullAfter(t, 30)
	bitgpuRun("", small("--data", text, "--vocab-size", "300", "--steps", "1", "--output-dir", dir)...)
	if !exists(mine) {
		t.Error("a directory that was there before is gone")
	}
}

// TestDivergedTrainingKeepsItsLosses: they show what went wrong.
func TestDivergedTrainingKeepsItsLosses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r := bitgpuRun("", small("--data", rhyme(t), "--vocab-size", "300", "--steps", "40", "--warmup-steps", "0", "--lr", "1e30", "--output-dir", dir)...)
	if r.code != exitError || !strings.Contains(r.err, "try a smaller learning rate") {
		t.Errorf("got %d, %s", r.code, r.err)
	}
	if !exists(filepath.Join(dir, train.MetricsName)) || exists(filepath.Join(dir, dataName)) {
		t.Error("want the losses, and no data")
	}
}

// TestFailedPicturesLeaveNoFolder: nor does --tensorboard.
func TestFailedPicturesLeaveNoFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "frames")
	adapter := drawingAdapter(t)
	for n := range 3 {
		diskFullAfter(t, n)
		refuse(t, exitError, bitgpuRun("", "view", "-m", model("d32-none"), "-p", "x", "--png", dir, "--adapter", adapter), "no space left on device")
		if exists(dir) {
			t.Errorf("%d changes: %s is left", n, dir)
		}
	}
}
