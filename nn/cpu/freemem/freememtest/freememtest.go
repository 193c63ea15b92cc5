// Package freememtest makes control groups for tests.
package freememtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// NewGroup makes a group below that of this process that allows a number of bytes of memory.
func NewGroup(t *testing.T, most int64) string {
	t.Helper()
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	var why []error
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		root, file := "/sys/fs/cgroup", "memory.max"
		if parts[1] != "" {
			root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
		}
		dir, err := os.MkdirTemp(filepath.Join(root, parts[2]), "bitgpu-test-")
		if err != nil {
			why = append(why, err)
			continue
		}
		t.Cleanup(func() { os.Remove(dir) })
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err != nil { // some other file system
			why = append(why, err)
			continue
		}
		// The file is missing if the group above does not delegate the control of memory.
		if err := os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, most), 0o644); err != nil {
			why = append(why, err)
			continue
		}
		return dir
	}
	t.Skipf("no control group with a limit of memory can be made: %v", errors.Join(why...))
	return ""
}
