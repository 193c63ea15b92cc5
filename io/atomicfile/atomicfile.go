// Package atomicfile replaces files as a whole: readers see the old content or the new, never a part, and so does the disk
// after a crash or when it is full. [Create] and [Write] do this for one file, [Set] for several files in a directory
// together.
//
// It does not support appending.
//
// # Why
//
// Why sync the directory as well? A rename changes the directory, and without a sync of its own a power cut can bring the old
// entry back after the call has returned.
//
// Why refuse devices? Renaming over /dev/stdout would replace it by a plain file.
//
// Why are temporary files locked? So that those of killed processes can be told apart from those in use, and removed.
//
// Why follow links? A user who links model.bitt to another disk wants the file there replaced, not the link.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"bitgpu/io/regular"
)

// File is the new content for a path. Write it, then call Commit. Discard drops it; after Commit Discard does nothing, so it
// can be deferred.
type File struct {
	path string // the file to replace, with links followed
	name string // the name for messages
	temp *os.File
	done bool
}

// Fault is for tests. It is called before each change to the file system; if it returns an error, the change fails with that
// error instead.
var Fault func(change string) error

// change makes one change to the file system.
func change(what string, make func() error) error {
	if Fault != nil {
		if err := Fault(what); err != nil {
			return err
		}
	}
	return make()
}

// Create begins new content for path. An existing file keeps its permissions; a new one gets 0644 less the umask. The
// temporary file is in the same directory, and its name begins with a dot.
func Create(path string) (*File, error) { return create(path, path) }

// create is Create with another name for messages.
func create(path, name string) (*File, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		if name == path {
			name = target
		}
		path = target
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s: got a directory, want a file to write", name)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: got %s, want a regular file, which can be replaced", name, regular.Kind(info.Mode()))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, describe(name, err)
	}
	perm := fs.FileMode(0o644)
	if err == nil {
		perm = info.Mode().Perm()
	}
	clearStale(filepath.Dir(path), filepath.Base(path))
	temp, err := createTemp(path, perm)
	if err != nil {
		return nil, describe(name, err)
	}
	f := &File{path: path, name: name, temp: temp}
	if made, err := temp.Stat(); info != nil && (err != nil || made.Mode().Perm() != perm) {
		if err := temp.Chmod(perm); err != nil {
			f.Discard()
			return nil, describe(name, err)
		}
	}
	return f, nil
}

// Check returns the error that writing path would give, for callers that work long on what they write there.
func Check(path string) error {
	f, err := Create(path)
	if err == nil {
		f.Discard()
	}
	return err
}

// mark separates a file's name from the random end of its temporary file's name.
const mark = ".bitgpu-new-"

// createTemp makes a file beside path and locks it.
func createTemp(path string, perm fs.FileMode) (*os.File, error) {
	for {
		name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+mark+strconv.FormatUint(rand.Uint64(), 36))
		var f *os.File
		err := change("create", func() (err error) {
			f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
			return err
		})
		switch {
		case errors.Is(err, fs.ErrExist):
			continue
		case err != nil:
			return nil, err
		}
		lock(f, true)
		// Before the lock was taken, another process may have removed the file as stale.
		if here, err := os.Stat(name); err == nil {
			if mine, err := f.Stat(); err == nil && os.SameFile(here, mine) {
				return f, nil
			}
		}
		f.Close()
	}
}

// clearStale removes temporary files that killed processes left in dir: those for base or, if base is "", for any file.
func clearStale(dir, base string) {
	left, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range left {
		name := entry.Name()
		of, _, found := strings.Cut(name, mark)
		if !found || !strings.HasPrefix(of, ".") || base != "" && of != "."+base || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, name)
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			if lock(f, false) {
				os.Remove(path)
			}
			f.Close()
		}
	}
}

// ClearStale removes temporary files that killed processes left in a directory.
func ClearStale(dir string) { clearStale(dir, "") }

// Write writes to the temporary file. Its errors do not name the file: other writers may wrap this one, and the outermost
// adds the name once.
func (f *File) Write(data []byte) (n int, err error) {
	err = change("write", func() error {
		n, err = f.temp.Write(data)
		return err
	})
	return n, cannotWrite(err)
}

// Commit puts the new content in place of the old, and returns when it is on the disk.
func (f *File) Commit() error {
	err := change("sync", f.temp.Sync)
	if err == nil {
		// Keep the file open, since its lock protects it until the rename, except on Windows, which cannot rename open files.
		if runtime.GOOS == "windows" {
			err = f.temp.Close()
		}
	}
	if err == nil {
		err = change("rename", func() error { return os.Rename(f.temp.Name(), f.path) })
	}
	if err != nil {
		f.Discard()
		return describe(f.name, err)
	}
	f.done = true
	f.temp.Close() // already synced, so nothing is left to fail
	return describe(f.name, change("sync directory", func() error { return syncDir(filepath.Dir(f.path)) }))
}

// SyncDir makes renames within a directory survive a power cut, if the system can.
func SyncDir(dir string) error {
	return describe(dir, change("sync directory", func() error { return syncDir(dir) }))
}

// Discard removes the temporary file and keeps the old content. It reports no error: what it cannot remove, the next [Create]
// removes.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	f.temp.Close()
	os.Remove(f.temp.Name())
}

// Write replaces path with what write writes. If write fails, the old file stays; the error names path.
func Write(path string, write func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	return f.fill(write)
}

// fill writes a file and commits it.
func (f *File) fill(write func(io.Writer) error) error {
	defer f.Discard()
	if err := write(f); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return f.Commit()
}

// describe returns an error that says that path cannot be written, and why.
func describe(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, cannotWrite(err))
}

func cannotWrite(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot be written: %w", regular.Cause(err))
}
