//go:build !unix && !windows

package main

// peakMemory is the most memory that the process has had resident, in bytes; 0 if the system does not say.
func peakMemory() int64 { return 0 }
