//go:build !linux

package regular

// Drop lets go of the memory that the pages of a mapped file have taken, where the system is Linux.
func Drop([]byte) {}
