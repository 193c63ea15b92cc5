package freemem

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestControlGroup: of a real control group, of either version, it is told what that leaves.
func TestControlGroup(t *testing.T) {
	const most = 64 << 20
	dir := newGroup(t, most)
	cmd := exec.Command("sh", "-c", `echo $$ > "$1/cgroup.procs" && exec "$0"`, os.Args[0], dir)
	cmd.Env = append(os.Environ(), tell+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var free, total int64
	if _, err := fmt.Sscan(string(out), &free, &total); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if total != most || free < 1 || free >= most {
		t.Errorf("got %d of %d bytes free, want less than %d of as many", free, total, most)
	}
}

// newGroup makes a group below that of this process which leaves so many bytes of memory.
func newGroup(t *testing.T, most int64) string {
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
		root, file := "/sys/fs/cgroup", version2.most
		if parts[1] != "" {
			root, file = "/sys/fs/cgroup/memory", version1.most
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
		}
		dir := filepath.Join(root, parts[2], fmt.Sprint("bitgpu-test-", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			why = append(why, err)
			continue
		}
		t.Cleanup(func() { os.Remove(dir) })
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err != nil { // some other file system
			why = append(why, err)
			continue
		}
		// Where the group above does not hand the control of memory down, the file is missing.
		if err := os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, most), 0o644); err != nil {
			why = append(why, err)
			continue
		}
		return dir
	}
	t.Skipf("no control group with a limit of memory can be made: %v", errors.Join(why...))
	return ""
}
