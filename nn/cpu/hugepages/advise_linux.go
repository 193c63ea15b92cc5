package hugepages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 2 << 20       // of a huge page on amd64, and on arm64 with pages of 4 kB
	least    = pageSize >> 1 // a smaller slice would be most of no huge page
)

// advise asks for huge pages wherever s lies, before its pages are first touched. That it shares the first and the last
// one with other slices of Go's heap does no harm, and a refusal is none either: it is advice.
func advise[T any](s []T) {
	var element T
	size := uintptr(len(s)) * unsafe.Sizeof(element)
	if size < least {
		return
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	from, to := start&^(pageSize-1), (start+size+pageSize-1)&^(pageSize-1)
	unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_HUGEPAGE)
}
