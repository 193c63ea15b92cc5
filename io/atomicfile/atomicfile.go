// Package atomicfile replaces a file as a whole: a reader, a crash or a full disk sees the old content or the
// new one, never a part of it.
//
// It is not for appending, and it makes no promise about several files together: who writes a set of files
// writes the one that makes the set valid last.
//
// # Why
//
// Why sync the directory as well? A rename is an entry of the directory, and without its own sync a power cut
// can bring the old entry back although the call returned.
//
// Why refuse devices? Renaming over /dev/stdout would put a plain file in its place.
//
// Why follow links? Who links model.bitt to another disk wants the file there replaced, not the link.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a new content on its way to a path. Write it, then call Commit; Discard ends it without a trace and does
// nothing after Commit, so that it can be deferred.
type File struct {
	path string // the file to be replaced, links followed
	w    io.Writer
	temp pending
}

// pending is the platform's temporary file.
type pending interface {
	// commit syncs, closes and renames.
	commit() error
	// discard closes and removes; it does nothing after commit.
	discard()
}

// Create begins a new content for path. A file that is there keeps its permissions; a new one gets 0644 less
// the umask. The temporary file lies in the same directory, its name starting with a dot.
func Create(path string) (*File, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s: is a directory, a file was to be written", path)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a regular file (%s) and cannot be replaced", path, info.Mode().Type())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, describe(path, err)
	}
	w, p, err := create(path)
	if err != nil {
		return nil, describe(path, err)
	}
	return &File{path: path, w: w, temp: p}, nil
}

// Write writes to the temporary file. Its errors name no file: a chain of writers may stand above, and whoever
// is at its end says once which file it was.
func (f *File) Write(data []byte) (int, error) {
	n, err := f.w.Write(data)
	return n, cannotWrite(err)
}

// Commit puts the new content in the old one's place and returns when both are on the disk.
func (f *File) Commit() error {
	if err := f.temp.commit(); err != nil {
		f.temp.discard()
		return describe(f.path, err)
	}
	return describe(f.path, syncDir(filepath.Dir(f.path)))
}

// SyncDir makes what was renamed inside a directory last through a power cut, where the system can.
func SyncDir(dir string) error { return describe(dir, syncDir(dir)) }

// Discard removes the temporary file and leaves the old content.
func (f *File) Discard() { f.temp.discard() }

// Write replaces path with what write writes. When write fails, the old file stays; the error names path.
func Write(path string, write func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := write(f); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
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

// cannotWrite drops the temporary file's name, which the operating system's error carries.
func cannotWrite(err error) error {
	if err == nil {
		return nil
	}
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		err = pathErr.Err
	case errors.As(err, &linkErr):
		err = linkErr.Err
	}
	return fmt.Errorf("cannot be written: %w", err)
}
