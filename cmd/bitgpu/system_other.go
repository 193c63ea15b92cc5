//go:build !unix && !windows

package main

import "os"

// peakMemory returns the largest resident memory of the process so far in bytes, 0 if unknown.
func peakMemory() int64 { return 0 }

// takesEscapes reports whether a terminal understands escape sequences.
func takesEscapes(*os.File) bool { return true }
