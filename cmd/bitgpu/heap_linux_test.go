package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/nn/cpu/freemem/freememtest"
)

// TestGroupOfLittleMemory: a training that a control group has room for is not killed for the garbage that Go has not collected.
func TestGroupOfLittleMemory(t *testing.T) {
	group := freememtest.NewGroup(t, 180<<20)
	line := []string{"train", "--backend", "cpu", "--data", rhyme(t), "--vocab-size", "1000", "--dim", "256", "--layers", "4", "--batch-size", "4", "--context-len", "64",
		"--steps", "3", "--output-dir", filepath.Join(t.TempDir(), "out")}
	train := program(t, line...)
	if out, err := inGroup(group, train).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(line[len(line)-1], "model.bitt")); err != nil {
		t.Error(err)
	}
}

// TestBenchInAGroup: measuring memory fits into a control group, or is refused.
func TestBenchInAGroup(t *testing.T) {
	line := []string{"bench", "--backend", "cpu", "--quick", "--only", "^op/LinearAdd"}
	if out, err := inGroup(freememtest.NewGroup(t, 640<<20), program(t, line...)).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	out, err := inGroup(freememtest.NewGroup(t, 240<<20), program(t, line...)).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "measuring how fast memory is read takes ") {
		t.Errorf("got %v, %s", err, out)
	}
}

// inGroup runs a command in a control group.
func inGroup(group string, of *exec.Cmd) *exec.Cmd {
	cmd := exec.Command("sh", append([]string{"-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group}, of.Args...)...)
	cmd.Env = of.Env
	return cmd
}
