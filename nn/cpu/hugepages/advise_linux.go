package hugepages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 2 << 20       // of a huge page on amd64, and on arm64 with pages of 4 kB
	least    = pageSize >> 1 // a smaller slice would be most of no huge page
)

// advise asks for huge pages for s, before its pages are first touched. It does no harm that s may share the first and the last
// of them with other slices of Go's heap, nor if the system refuses.
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
