//go:build linux || darwin

package hugepages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve maps memory; release is nil if the system refuses.
func reserve(bytes int) (data []byte, release func()) {
	data, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|noReserve)
	if err != nil {
		return nil, nil
	}
	return data, func() { unix.Munmap(data) }
}

// of returns the bytes of a mapping, which begins at a page, as elements.
func of[T any](data []byte, n int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), n)
}
