//go:build cgo

package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestLittleAddressSpace: below what Go's runtime wants, where it would end with a trace, there is one sentence.
func TestLittleAddressSpace(t *testing.T) {
	for _, limit := range []string{"300000", "700000", "900000"} {
		p := program(t, "--version")
		cmd := exec.Command("sh", "-c", `ulimit -v "$0" && exec "$@"`)
		cmd.Args, cmd.Env = append(cmd.Args, append([]string{limit}, p.Args...)...), p.Env
		out, err := cmd.CombinedOutput()
		if got := string(out); err == nil || cmd.ProcessState.ExitCode() != 1 || strings.Count(got, "\n") != 1 || !strings.Contains(got, "ulimit -v") {
			t.Errorf("%s kB: got %v and %q, want exit status 1 and a sentence", limit, err, got)
		}
	}
}
