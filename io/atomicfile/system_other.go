//go:build !unix

package atomicfile

import "os"

// lock does nothing: here the system removes no open file, which tells those at work from those of killed processes.
func lock(*os.File, bool) bool { return true }

func lockDir(string) (held *os.File, busy bool) { return nil, false }

// syncDir does nothing: Windows has no sync for directories.
func syncDir(string) error { return nil }
