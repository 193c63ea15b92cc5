package freemem

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const tell = "FREEMEM_TEST_TELL"

func TestMain(m *testing.M) {
	if os.Getenv(tell) != "" {
		fmt.Println(Free(), Total())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{"proc/meminfo": {Data: []byte("MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    800 kB\n")}}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func TestLimits(t *testing.T) {
	machine := limit{1000 << 10, 800 << 10}
	for name, c := range map[string]struct {
		root fstest.MapFS
		want []limit
	}{
		"nothing": {fstest.MapFS{}, nil},
		"machine": {files(), []limit{machine}},
		"version 2": {files("proc/self/cgroup", "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max", "max\n", "sys/fs/cgroup/a/b/memory.current", "7\n",
			"sys/fs/cgroup/a/memory.max", "500\n", "sys/fs/cgroup/a/memory.current", "300\n",
			"sys/fs/cgroup/a/memory.stat", "anon 200\ninactive_file 90\n"), []limit{machine, {500, 290}}},
		"version 2 in a container": {files("proc/self/cgroup", "0::/docker/1\n",
			"sys/fs/cgroup/memory.max", "500\n", "sys/fs/cgroup/memory.current", "300\n"), []limit{machine, {500, 200}}},
		"version 1": {files("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/x\n0::/\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes", "600\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes", "700\n",
			"sys/fs/cgroup/memory/x/memory.stat", "total_inactive_file 50\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n", "sys/fs/cgroup/memory/memory.usage_in_bytes", "700\n"),
			[]limit{machine, {600, -50}, {9223372036854771712, 9223372036854771012}}},
		"garbage": {files("proc/self/cgroup", "x\n0::\n", "sys/fs/cgroup/memory.max", "-5", "sys/fs/cgroup/memory.current", "z"), []limit{machine}},
	} {
		if got := limits(c.root); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestUlimit: ulimit -v counts.
func TestUlimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the other systems do not say how much of it is used")
	}
	const most = 6 << 20 // kilobytes
	cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -v %d; exec "$0"`, most), os.Args[0])
	cmd.Env = append(os.Environ(), tell+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(out))
	free, _ := strconv.ParseInt(words[0], 10, 64)
	total, _ := strconv.ParseInt(words[1], 10, 64)
	if total > most<<10-64<<20 || free >= total || free < 1 {
		t.Errorf("got %d of %d bytes, want less than %d: what is reserved beside Go's heap counts, too", free, total, most<<10-64<<20)
	}
}
