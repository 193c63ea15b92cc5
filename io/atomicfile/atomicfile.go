// Package atomicfile replaces files as a whole: a reader, a crash or a full disk sees the old content or the new one,
// never a part of it. [Create] and [Write] do that for one file, [Set] for several files of a directory together.
//
// It is not for appending.
//
// # Why
//
// Why sync the directory as well? A rename is an entry of the directory, and without its own sync a power cut
// can bring the old entry back although the call returned.
//
// Why refuse devices? Renaming over /dev/stdout would put a plain file in its place.
//
// Why are temporary files locked? So that those of a killed process can be told from those at work, and cleared.
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

// File is a new content on its way to a path. Write it, then call Commit; Discard ends it without a trace and does
// nothing after Commit, so that it can be deferred.
type File struct {
	path string // the file to be replaced, links followed
	name string // of it in messages
	temp *os.File
	done bool
}

// Fault is for tests: it is called before each change of the file system, and its error replaces
// the change.
var Fault func(change string) error

// change makes one change of the file system.
func change(what string, make func() error) error {
	if Fault != nil {
		if err := Fault(what); err != nil {
			return err
		}
	}
	return make()
}

// Create begins a new content for path. A file that is there keeps its permissions; a new one gets 0644 less
// the umask. The temporary file is in the same directory, and its name begins with a dot.
func Create(path string) (*File, error) { return create(path, path) }

// create is Create of a file with another name in messages.
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

// Check says whether path can be written, before the work whose result it is to hold.
func Check(path string) error {
	f, err := Create(path)
	if err == nil {
		f.Discard()
	}
	return err
}

// mark stands between a file's name and the random end of its temporary file's.
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
		// Between its creation and its lock another process may have taken it for a leftover.
		if here, err := os.Stat(name); err == nil {
			if mine, err := f.Stat(); err == nil && os.SameFile(here, mine) {
				return f, nil
			}
		}
		f.Close()
	}
}

// clearStale removes the temporary files for base, or for all files if it is "", that killed processes left in dir.
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

// ClearStale removes what killed processes left unfinished in a directory.
func ClearStale(dir string) { clearStale(dir, "") }

// Write writes to the temporary file. Its errors name no file: a chain of writers may stand above, and the
// outermost says once which file it was.
func (f *File) Write(data []byte) (n int, err error) {
	err = change("write", func() error {
		n, err = f.temp.Write(data)
		return err
	})
	return n, cannotWrite(err)
}

// Commit puts the new content in the old one's place and returns when both are on the disk.
func (f *File) Commit() error {
	err := change("sync", f.temp.Sync)
	if err == nil {
		// Not closed before the rename: the lock keeps it from being cleared. Windows renames no open file.
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
	f.temp.Close() // synced already, so there is nothing left to fail
	return describe(f.name, change("sync directory", func() error { return syncDir(filepath.Dir(f.path)) }))
}

// SyncDir makes what was renamed inside a directory last through a power cut, where the system can.
func SyncDir(dir string) error {
	return describe(dir, change("sync directory", func() error { return syncDir(dir) }))
}

// Discard removes the temporary file and leaves the old content. It has no one to tell: what it fails to remove is
// cleared by the next [Create].
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	f.temp.Close()
	os.Remove(f.temp.Name())
}

// Write replaces path with what write writes. When write fails, the old file stays; the error names path.
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

// describe says that path cannot be written, and why.
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
