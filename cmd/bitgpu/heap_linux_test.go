package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bitgpu/nn/cpu/freemem/freememtest"
)

// TestGroupOfLittleMemory: a training that a control group has room for is not killed for the garbage that Go has not collected.
func TestGroupOfLittleMemory(t *testing.T) {
	group := freememtest.NewGroup(t, 180<<20)
	line := []string{"train", "--backend", "cpu", "--data", rhyme(t), "--vocab-size", "1000", "--dim", "256", "--layers", "4", "--batch-size", "4", "--context-len", "64",
		"--steps", "3", "--output-dir", filepath.Join(t.TempDir(), "out")}
	train := program(t, line...)
	cmd := exec.Command("sh", append([]string{"-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group}, train.Args...)...)
	cmd.Env = train.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(line[len(line)-1], "model.bitt")); err != nil {
		t.Error(err)
	}
}
