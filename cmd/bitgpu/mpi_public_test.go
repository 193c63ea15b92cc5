//go:build mpi && linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn/storage/public/publictest"
)

// TestMPIPublic: a training that begins with the weights of a public model, and what is learned inside their rounding, are the same on
// one process and on 2 and 4 ranks.
func TestMPIPublic(t *testing.T) {
	m, text, dir := publictest.File(t, "qwen3"), proverbs(t), t.TempDir()
	trained := func(out string, more ...string) []string {
		return append([]string{"train", "--load", m, "--data", text, "--steps", "4", "--save-interval", "1", "--context-len", "16", "--batch-size", "8",
			"--sample-every", "0", "--backend", "cpu", "--output-dir", filepath.Join(dir, "trained"+out)}, more...)
	}
	merged := func(out string, more ...string) []string {
		return append([]string{"learn", "-m", m, "--text", text, "--merge", "--steps", "6", "--context", "16", "--backend", "cpu",
			"-o", filepath.Join(dir, "merged"+out)}, more...)
	}
	mustRun(t, trained("", "--shards", "8")...)
	mustRun(t, merged("", "--shards", "8")...)
	for n, more := range map[int][]string{2: {"--shard-optimizer"}, 4: nil} {
		out := fmt.Sprint(n)
		mpiRun(t, n, trained(out, more...)...).finish(t)
		sameFiles(t, filepath.Join(dir, "trained"), filepath.Join(dir, "trained"+out))
		mpiRun(t, n, merged(out)...).finish(t)
		if !bytes.Equal(read(t, dir, "merged", "model.safetensors"), read(t, dir, "merged"+out, "model.safetensors")) {
			t.Errorf("%d ranks learn another model", n)
		}
	}
}

// TestMPIProgram: a rank of another build is refused before the first step.
func TestMPIProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, other := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, append(read(t, self), "another build"...), 0o700); err != nil {
		t.Fatal(err)
	}
	line := sharded(tokenFile(t, "some.u32", 400), dir)
	p := mpiRun(t, 1, slices.Concat(line, []string{":", "-n", "1", other}, line)...)
	if err := p.Wait(); err == nil || strings.Count(p.text(), ": program: got ") != 1 || strings.Count(p.text(), "bitgpu: ") != 1 {
		t.Errorf("want the program refused once: %v: %s", err, p.text())
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "*")); len(found) > 0 {
		t.Errorf("got %q, want nothing written", found)
	}
}
