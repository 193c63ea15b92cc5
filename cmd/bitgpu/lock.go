package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"bitgpu/io/atomicfile"

	"github.com/gofrs/flock"
)

// lockDir makes the directory and keeps other trainings out of it until unlock, which leaves nothing
// of a run that wrote nothing.
func lockDir(dir string) (unlock func(), err error) {
	undo, err := atomicfile.MakeDir(dir)
	if err != nil {
		return nil, flagError("output-dir", err)
	}
	path := filepath.Join(dir, ".lock")
	lock := flock.New(path)
	ok, err := lock.TryLock()
	for err == nil && ok && !isFile(lock, path) { // its last holder took it away meanwhile, and another may hold the next
		lock.Unlock()
		ok, err = lock.TryLock()
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported): // nothing keeps others out where the system has no locks
	case err != nil:
		undo()
		return nil, flagError("output-dir", err)
	case !ok:
		return nil, fmt.Errorf("%s: another training is writing to this directory", dir)
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

// isFile says whether the lock is on the file that the path names.
func isFile(lock *flock.Flock, path string) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(held, there)
}
