package prepare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"bitgpu/io/atomicfile"

	"github.com/gofrs/flock"
)

// ErrLocked means that another training is writing to a directory.
var ErrLocked = errors.New("another training is writing to this directory")

// Lock makes the directory of a training and keeps other trainings out of it until unlock is called. Unlock removes what Lock has
// made if nothing was written meanwhile. The error is [ErrLocked] while another process holds the directory.
func Lock(dir string) (unlock func(), err error) {
	undo, err := atomicfile.MakeDir(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ".lock")
	lock := flock.New(path)
	ok, err := lock.TryLock()
	for err == nil && ok && !locks(lock, path) { // the last holder removed the file meanwhile, and another may hold the next
		lock.Unlock()
		ok, err = lock.TryLock()
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported): // a system without locks keeps nobody out
	case err != nil:
		undo()
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
	}
	return func() {
		os.Remove(path) // while it is held, so that nobody else's is removed
		lock.Unlock()
		if runtime.GOOS == "windows" { // removes no open file, and so none that another holds
			os.Remove(path)
		}
		undo()
	}, nil
}

// locks says whether the lock is on the file that the path names.
func locks(lock *flock.Flock, path string) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(held, there)
}
