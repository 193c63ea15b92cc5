// Package hugepages makes large slices whose memory lies in huge pages, where the system gives them for the asking.
//
// # Why
//
// A matrix product reads columns of matrices whose rows lie kilobytes apart: in pages of 4 kB almost every row is a page
// of its own, and there are more of them than the processor keeps translations for. Many Linux distributions give huge
// pages to whoever asks with madvise (/sys/kernel/mm/transparent_hugepage/enabled), and Go does not ask.
package hugepages

// Make is make([]T, n), in huge pages if it is large and the system has them.
func Make[T any](n int) []T {
	s := make([]T, n)
	advise(s)
	return s
}
