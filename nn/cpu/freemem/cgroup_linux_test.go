package freemem

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"bitgpu/nn/cpu/freemem/freememtest"
)

// TestControlGroup: of a real control group, of either version, it is told what that leaves.
func TestControlGroup(t *testing.T) {
	const most = 64 << 20
	dir := freememtest.NewGroup(t, most)
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
