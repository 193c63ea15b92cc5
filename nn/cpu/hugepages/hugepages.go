// Package hugepages makes large slices in huge pages, if the system gives them to programs that ask for them.
//
// # Why
//
// A matrix product reads columns of matrices whose rows lie kilobytes apart. With pages of 4 kB almost every row lies in another
// page, and there are more of them than the processor keeps translations for. Many Linux distributions give huge pages to programs
// that ask with madvise (/sys/kernel/mm/transparent_hugepage/enabled), and Go does not ask.
package hugepages

import "unsafe"

// Make is make([]T, n), in huge pages if it is large and the system has them.
func Make[T any](n int) []T {
	s := make([]T, n)
	advise(s)
	return s
}

const leastReserved = 1 << 20 // bytes that are worth a mapping of their own

// Reserve is Make for a slice that is filled from the front and rarely to the end. It lies outside of Go's heap, where the system
// provides memory page by page as it is written, and release returns it at once; nothing may use the slice afterwards. Go would
// zero all of a slice whose memory was used before, and collects garbage only when there is as much as is in use. If the system
// has no such memory, Reserve is Make.
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
