//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// lock locks the file for this process, waiting if asked to, and reports whether it holds the lock. On a file system without
// locks the answer is false.
func lock(f *os.File, wait bool) bool {
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	return syscall.Flock(int(f.Fd()), how) == nil
}

// lockDir keeps other writers of sets out of a directory until the lock is closed. held is nil if the system has no such
// lock; busy reports that another process holds it.
func lockDir(dir string) (held *os.File, busy bool) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, false
	}
	err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		d.Close()
		return nil, errors.Is(err, syscall.EWOULDBLOCK)
	}
	return d, false
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		// A directory may be writable but not readable; the file is in place anyway.
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems have no sync for directories and say so; they order renames by themselves.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
