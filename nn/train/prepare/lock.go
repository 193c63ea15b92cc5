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
	release, ok, err := LockFile(filepath.Join(dir, ".lock"))
	switch {
	case err != nil:
		undo()
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
	}
	return func() {
		release()
		undo()
	}, nil
}

// LockFile makes a file and holds it until release is called, which removes it. ok is false while another process holds it. On
// a file system without locks nobody is kept out.
func LockFile(path string) (release func(), ok bool, err error) {
	lock := flock.New(path)
	ok, err = lock.TryLock()
	for err == nil && ok && !locks(lock, path) { // the last holder removed the file meanwhile, and another process may hold the new one
		lock.Unlock()
		ok, err = lock.TryLock()
	}
	if errors.Is(err, errors.ErrUnsupported) {
		ok, err = true, nil
	}
	return func() {
		os.Remove(path) // while it is held, so that it cannot be another process's
		lock.Unlock()
		if runtime.GOOS == "windows" { // Windows does not remove open files, and so none that another process holds
			os.Remove(path)
		}
	}, ok, err
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
