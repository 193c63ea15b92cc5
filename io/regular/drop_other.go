//go:build !linux

package regular

// Drop releases the memory of pages of a mapped file, on Linux only.
func Drop([]byte) {}
