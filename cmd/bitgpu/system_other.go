//go:build !unix && !windows

package main

import "os"

// peakMemory is the most memory that the process has had resident, in bytes; 0 if the system does not say.
func peakMemory() int64 { return 0 }

// takesEscapes says whether a terminal shows what escape sequences say.
func takesEscapes(*os.File) bool { return true }
