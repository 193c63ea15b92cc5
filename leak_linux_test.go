package bitgpu

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// taken is what the process holds of the system: threads, open files, bytes of memory.
func taken(t *testing.T) (threads, files, memory int) {
	t.Helper()
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

// A model on a GPU that is closed gives all back; what a hundred devices leave is measured in package gpu, in less time.
func TestOpeningAndClosingModelsLeavesNothing(t *testing.T) {
	openOnGPU(t, "d32-delta").Close() // or the test is skipped
	cycle := func() {
		m := openOnGPU(t, "d32-delta")
		defer m.Close()
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := s.Generate(t.Context(), "the", Options{MaxTokens: 2}); err != nil {
			t.Fatal(text, err)
		}
	}
	cycle()
	threads, files, memory := taken(t)
	for range 18 {
		cycle()
	}
	// What the driver's compiler leaves goes up and down by some 20 MB in a hundred cycles. A model that stays takes 37 MB.
	const fewThreads, fewBytes = 4, 40 << 20
	threadsNow, filesNow, memoryNow := taken(t)
	if threadsNow > threads+fewThreads || filesNow > files || memoryNow > memory+fewBytes {
		t.Errorf("after 20 models: got %d threads, %d files and %.1f MB, want %d, %d and %.1f MB as after two, and few more",
			threadsNow, filesNow, float64(memoryNow)/1e6, threads, files, float64(memory)/1e6)
	}
}
