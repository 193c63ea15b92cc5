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

// Lock creates the directory of a training and keeps other trainings out of it until unlock is called. unlock removes what
// Lock created if nothing else was written. While another process holds the lock the error is [ErrLocked].
func Lock(dir string) (unlock func(), err error) {
	undo, err := atomicfile.MakeDir(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ".lock")
	lock := flock.New(path)
	ok, err := lock.TryLock()
	for err == nil && ok && !locks(lock, path) { // the last holder removed the file meanwhile, and another process may hold the new one
		lock.Unlock()
		ok, err = lock.TryLock()
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported): // without locks nobody is kept out
	case err != nil:
		undo()
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
	}
	return func() {
		os.Remove(path) // while it is held, so that it cannot be another process's
		lock.Unlock()
		if runtime.GOOS == "windows" { // Windows does not remove open files, and so none that another process holds
			os.Remove(path)
		}
		undo()
	}, nil
}

// locks reports whether the lock is on the file that path names.
func locks(lock *flock.Flock, path string) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(held, there)
}
