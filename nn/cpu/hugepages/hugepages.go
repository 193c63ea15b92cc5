// Package hugepages makes large slices in huge pages, where the system gives them to programs that ask.
//
// # Why
//
// A matrix product reads columns of matrices whose rows lie kilobytes apart: in pages of 4 kB almost every row is a page
// of its own, and there are more of them than the processor keeps translations for. Many Linux distributions give huge
// pages to programs that ask with madvise (/sys/kernel/mm/transparent_hugepage/enabled), and Go does not ask.
package hugepages

import "unsafe"

// Make is make([]T, n), in huge pages if it is large and the system has them.
func Make[T any](n int) []T {
	s := make([]T, n)
	advise(s)
	return s
}

const leastReserved = 1 << 20 // bytes that are worth a mapping of their own

// Reserve is Make for a slice of numbers of which mostly a beginning is used: it lies outside of Go's heap, where the system gives memory
// page by page as it is written, and release, after which nothing may use it, gives it back at once. Of Go's own memory what was
// freed is zeroed before it is used again, all of it, and the collector waits until as much garbage has come as is in use.
// Where the system has no such memory it is Make's.
func Reserve[T uint16 | float32 | float64](n int) (s []T, release func()) {
	var element T
	if bytes := n * int(unsafe.Sizeof(element)); bytes >= leastReserved {
		if data, release := reserve(bytes); release != nil {
			s := of[T](data, n)
			advise(s)
			return s, release
		}
	}
	return Make[T](n), func() {}
}
