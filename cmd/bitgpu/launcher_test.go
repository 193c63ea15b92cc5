//go:build !mpi

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLauncherWithoutMPI: several processes that know nothing of each other must not write to one directory.
func TestLauncherWithoutMPI(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	t.Setenv("PMI_SIZE", "4")
	for rank, want := range map[string]string{"0": "go build -tags mpi ./cmd/bitgpu", "1": ""} {
		t.Setenv("PMI_RANK", rank)
		r := bitgpuRun("", small("--data", tokenFile(t, "some.u32", 400), "--output-dir", dir)...)
		if r.code != exitError || !strings.Contains(r.err, want) || want == "" && r.err != "" {
			t.Errorf("rank %s: exit code %d, %q", rank, r.code, r.err)
		}
	}
	if found, _ := filepath.Glob(dir); len(found) > 0 {
		t.Errorf("got %q, want nothing written", found)
	}
	t.Setenv("PMI_RANK", "0")
	r := bitgpuRun("", "learn", "--text", rhyme(t), "-o", filepath.Join(t.TempDir(), "x.safetensors"))
	if r.code != exitError || !strings.Contains(r.err, "go build -tags mpi ./cmd/bitgpu") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
	t.Setenv("PMI_SIZE", "1")
	mustRun(t, small("--data", tokenFile(t, "some.u32", 400), "--steps", "1", "--output-dir", dir)...)
}
