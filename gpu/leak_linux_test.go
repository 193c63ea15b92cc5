package gpu_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"bitgpu/gpu"
	"bitgpu/gpu/gputest"
)

// taken is what the process holds of the system: threads, open files, bytes of memory.
func taken(t *testing.T) (threads, files, memory int) {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		fmt.Sscanf(line, "Threads: %d", &threads)
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &memory); n == 1 {
			memory <<= 10
		}
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return threads, len(open), memory
}

// A closed device gives all back, the drivers and their threads included.
func TestOpeningAndClosingLeavesNothing(t *testing.T) {
	info := gputest.Device(t).Info()
	cycle := func() {
		d, err := gpu.Open(gpu.Options{Adapter: fmt.Sprint(info.Index)})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		a, b := d.NewBuffer("a", 4<<20), d.NewBuffer("b", 4<<20)
		d.Write(a, 0, make([]byte, a.Size()))
		copyKernel(d, b, a)
		if _, err := d.Read(b, 0, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	cycle()
	threads, files, _ := taken(t)
	// The drivers' threads are new ones each time and allocate from several arenas of the C library, each of which grows by
	// some MB until it has the holes that a cycle needs.
	for range 98 {
		cycle()
	}
	_, _, memory := taken(t)
	for range 100 {
		cycle()
	}
	const fewThreads, fewBytes = 4, 8 << 20 // Go parks a few threads, and starts them again
	threadsNow, filesNow, memoryNow := taken(t)
	if threadsNow > threads+fewThreads || filesNow > files || memoryNow > memory+fewBytes {
		t.Errorf("after 200 cycles: got %d threads, %d files and %d MB, want %d and %d as after two and %d as after 100",
			threadsNow, filesNow, memoryNow>>20, threads, files, memory>>20)
	}
}
