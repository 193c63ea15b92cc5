package gputest

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// Taken returns what the process has taken from the system: threads, open files, bytes of memory.
func Taken(t testing.TB) (threads, files, memory int) {
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
