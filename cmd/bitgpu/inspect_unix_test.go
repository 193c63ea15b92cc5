//go:build unix

package main

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A pipe is refused, not waited for, wherever a file is mapped.
func TestPipesAreRefused(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.u32")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for _, args := range [][]string{
		{"inspect", pipe}, {"run", "-p", "x", "-m", pipe}, {"run", "-p", "x", "--memory", pipe}, {"eval", "--data", pipe}, {"train", "--data", pipe, "--output-dir", t.TempDir()},
	} {
		refuse(t, exitError, bitgpuRun("", args...), pipe+": got a pipe, want a regular file")
	}
}
