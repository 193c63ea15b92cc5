package gpu_test

import (
	"fmt"
	"testing"

	"bitgpu/gpu"
	"bitgpu/gpu/gputest"
)

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
		if _, err := d.Download(b, 0, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	cycle()
	threads, files, memory := gputest.Taken(t)
	for range 98 {
		cycle()
	}
	// Go parks a few threads and starts them again, which have stacks and arenas of their own. A device that stays takes 37 MB.
	const fewThreads, fewBytes = 4, 16 << 20
	threadsNow, filesNow, memoryNow := gputest.Taken(t)
	if threadsNow > threads+fewThreads || filesNow > files || memoryNow > memory+fewBytes {
		t.Errorf("after 100 cycles: got %d threads, %d files and %.1f MB, want %d, %d and %.1f MB as after two, and few more",
			threadsNow, filesNow, float64(memoryNow)/1e6, threads, files, float64(memory)/1e6)
	}
}
