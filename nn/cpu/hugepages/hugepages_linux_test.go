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

// TestReserve: much can be reserved, only what is written takes memory, and what was given back begins with zeros again.
func TestReserve(t *testing.T) {
	const n = 8 << 30 // 32 GB
	for range 3 {
		before := resident(t)
		s, release := Reserve[float32](n)
		if len(s) != n {
			t.Fatalf("got %d elements, want %d", len(s), n)
		}
		for i := 0; i < 4<<20; i += 1 << 10 {
			if s[i] != 0 {
				t.Fatalf("element %d is %v, want 0", i, s[i])
			}
			s[i] = 1
		}
		if took := resident(t) - before; took > 64<<20 {
			t.Errorf("16 MB were written: took %d MB, want 64 at most", took>>20)
		}
		release()
	}
	s, release := Reserve[uint16](5)
	defer release()
	if len(s) != 5 {
		t.Errorf("got %d elements, want 5", len(s))
	}
}

// resident is the memory that the process has of the system, in bytes.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kB int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kB); n == 1 {
			return kB << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// marked reports whether the mapping of an address has the flag hg ("huge page advise flag", proc(5)).
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
