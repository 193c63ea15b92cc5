package hugepages

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// TestMake reads of the kernel whether a slice's memory is marked for huge pages.
func TestMake(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel has no transparent huge pages")
	}
	for _, n := range []int{0, 1, least / 4, 3 * pageSize} {
		s := Make[float32](n)
		if len(s) != n {
			t.Fatalf("got %d elements, want %d", len(s), n)
		}
		for i := range s {
			if s[i] != 0 {
				t.Fatalf("element %d of %d is %v", i, n, s[i])
			}
			s[i] = 1
		}
		if 4*n >= least && !marked(t, uintptr(unsafe.Pointer(&s[n/2]))) {
			t.Errorf("%d elements: not marked for huge pages", n)
		}
		runtime.KeepAlive(s)
	}
}

// marked says whether the mapping of an address has the flag hg ("huge page advise flag", proc(5)).
func marked(t *testing.T, address uintptr) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	inside := false
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= address && address < to
		}
		if inside && strings.HasPrefix(line, "VmFlags:") {
			return strings.Contains(line+" ", " hg ")
		}
	}
	return false
}
