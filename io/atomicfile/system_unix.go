//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// lock takes the file for this process, waiting if asked to, and says whether it is now. Where the file system knows no
// locks nothing is.
func lock(f *os.File, wait bool) bool {
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	return syscall.Flock(int(f.Fd()), how) == nil
}

// lockDir keeps other writers of sets out of a directory, until the lock is closed. Nil is a lock that could not be taken
// because the system has none; busy says that somebody holds it.
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
		// A directory may allow writing and not reading; the file is in its place all the same.
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
