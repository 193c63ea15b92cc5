package gpu_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"bitgpu/gpu"
)

// TestOutOfMemory runs itself as another process, which takes away its own address space: the software adapter's
// memory is the process's.
func TestOutOfMemory(t *testing.T) {
	const child = "BITGPU_TEST_OUT_OF_MEMORY"
	if os.Getenv(child) == "" {
		if _, err := gpu.Open(gpu.Options{Adapter: "software"}); err != nil {
			t.Skipf("no software adapter: %v", err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestOutOfMemory$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	d, err := gpu.Open(gpu.Options{Adapter: "software"})
	if err != nil {
		t.Fatal(err)
	}
	const limit = 8 << 30
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	const size = 1 << 30
	// Twice, because what is released must be there again at once, without a Flush.
	for range 2 {
		var buffers []*gpu.Buffer
		for range 4 {
			buffers = append(buffers, d.NewBuffer("big", size))
		}
		for _, b := range buffers {
			b.Release()
		}
	}
	if err := d.Flush(); err != nil {
		t.Errorf("4 buffers of %d bytes, twice: %v", size, err)
	}
	for range limit / size {
		d.NewBuffer("big", size)
	}
	if err := d.Flush(); !errors.Is(err, gpu.ErrOutOfMemory) || !strings.Contains(err.Error(), "big") {
		t.Errorf("got %v, want ErrOutOfMemory", err)
	}
	if d.BytesInUse() >= limit {
		t.Errorf("%d bytes counted in use, where only %d can be", d.BytesInUse(), limit)
	}
	b := d.NewBuffer("small", 16)
	d.Write(b, 0, []byte{5, 0, 0, 0})
	if got, err := d.Download(b, 0, 1); err != nil || got[0] != 5 {
		t.Errorf("after running out of memory the device reads %v, %v", got, err)
	}
}
