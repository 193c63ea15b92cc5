//go:build unix

package main

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// peakMemory is the most memory that the process has had resident, in bytes; 0 if the system does not say.
func peakMemory() int64 {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(use.Maxrss) // macOS counts bytes, the others kilobytes
	}
	return int64(use.Maxrss) * 1024
}

// takesEscapes says whether a terminal shows what escape sequences say.
func takesEscapes(*os.File) bool { return true }
