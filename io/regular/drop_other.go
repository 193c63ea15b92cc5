//go:build !linux

package regular

// Drop releases the memory of pages of a mapped file, but only on Linux.
func Drop([]byte) {}
