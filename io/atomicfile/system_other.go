//go:build !unix

package atomicfile

import "os"

// lock does nothing: this system cannot remove open files, so temporary files in use are safe without a lock.
func lock(*os.File, bool) bool { return true }

func lockDir(string) (held *os.File, busy bool) { return nil, false }

// syncDir does nothing: Windows has no sync for directories.
func syncDir(string) error { return nil }
