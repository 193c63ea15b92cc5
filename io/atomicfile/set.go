package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/regular"
)

// Set is new content for several files of a directory that takes effect together or not at all. Create or Write each file,
// then call Commit. Discard drops the set; after Commit it does nothing.
//
// # How
//
// Files are written to a hidden directory inside. A single rename of that directory makes them valid; then they are moved to
// their names. If the process is killed in between, it has recorded what is left to do, and [Recover], which every reader of
// such a directory calls first, does it. Exchanging the directory itself would be simpler, but would lose other files in it,
// processes whose working directory it is, and mounts.
type Set struct {
	dir  string
	lock *os.File // nil if the system has no locks
	undo func()
	done bool
}

const (
	stageName  = ".bitgpu-new"    // what is being written
	commitName = ".bitgpu-commit" // complete, and being moved into place
	goneSuffix = ".gone"          // marks names of files to remove
)

// CreateSet begins new content for a directory, which it makes if necessary. While another process is doing so it returns an
// error.
func CreateSet(dir string) (*Set, error) {
	undo, err := MakeDir(dir)
	if err != nil {
		return nil, err
	}
	held, busy := lockDir(dir)
	if busy {
		return nil, fmt.Errorf("%s: another bitgpu is writing to this directory", dir)
	}
	s := &Set{dir: dir, lock: held, undo: undo}
	if err := Recover(dir); err != nil {
		s.close()
		return nil, err
	}
	if err := s.begin(); err != nil {
		s.Discard()
		return nil, describe(dir, err)
	}
	return s, nil
}

func (s *Set) begin() error {
	stage := s.path("")
	if err := change("clear", func() error { return RemoveAll(stage) }); err != nil {
		return err
	}
	return change("make directory", func() error { return os.Mkdir(stage, 0o755) })
}

// path returns where the new content of a file is written.
func (s *Set) path(name string) string { return filepath.Join(s.dir, stageName, name) }

// Create begins the new content of a file. Commit it before the set.
func (s *Set) Create(name string) (*File, error) {
	return create(s.path(name), filepath.Join(s.dir, name))
}

// Write writes the new content of a file. The error names the file.
func (s *Set) Write(name string, write func(io.Writer) error) error {
	f, err := s.Create(name)
	if err != nil {
		return err
	}
	return f.fill(write)
}

// Commit replaces the old files by all that were written, and removes those named. It returns when that is on the disk. After
// an error the directory has its old files, or will have the new ones when it is next opened.
func (s *Set) Commit(remove ...string) error {
	if err := s.prepare(remove); err != nil {
		s.Discard()
		return err
	}
	commit := filepath.Join(s.dir, commitName)
	if err := change("commit", func() error { return os.Rename(s.path(""), commit) }); err != nil {
		s.Discard()
		return describe(s.dir, err)
	}
	s.done = true
	defer s.close()
	if err := SyncDir(s.dir); err != nil {
		return err
	}
	return Recover(s.dir)
}

// prepare checks everything that could fail after the commit, apart from the disk.
func (s *Set) prepare(remove []string) error {
	entries, err := os.ReadDir(s.path(""))
	if err != nil {
		return describe(s.dir, err)
	}
	for _, entry := range entries {
		target := filepath.Join(s.dir, entry.Name())
		info, err := os.Stat(target)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return describe(target, err)
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s: got %s, want a regular file, which can be replaced", target, regular.Kind(info.Mode()))
		default:
			if err := os.Chmod(s.path(entry.Name()), info.Mode().Perm()); err != nil {
				return describe(target, err)
			}
		}
	}
	for _, name := range remove {
		if err := s.Write(name+goneSuffix, func(io.Writer) error { return nil }); err != nil {
			return err
		}
	}
	return SyncDir(s.path(""))
}

// Discard leaves the directory as it was.
func (s *Set) Discard() {
	if s.done {
		return
	}
	s.done = true
	RemoveAll(s.path(""))
	s.close()
	s.undo()
}

func (s *Set) close() {
	if s.lock != nil {
		s.lock.Close()
	}
}

// Recover completes what a killed process has committed in a directory. Readers call it before they open files there.
func Recover(dir string) error {
	commit := filepath.Join(dir, commitName)
	entries, err := os.ReadDir(commit)
	if err != nil {
		return nil // there is nothing to recover, or no directory
	}
	for _, entry := range entries {
		from := filepath.Join(commit, entry.Name())
		move := func() error { return os.Rename(from, filepath.Join(dir, entry.Name())) }
		if name, gone := strings.CutSuffix(entry.Name(), goneSuffix); gone {
			move = func() error {
				if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				return os.Remove(from)
			}
		}
		// Another process may be recovering too; what it has moved is in place.
		if err := change("move", move); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unfinished(dir, err)
		}
	}
	if err := SyncDir(dir); err != nil {
		return unfinished(dir, err)
	}
	if err := change("end", func() error { return os.Remove(commit) }); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unfinished(dir, err)
	}
	return SyncDir(dir)
}

func unfinished(dir string, err error) error {
	return fmt.Errorf("%s: new files are whole in %s and go to their places when it is next opened, which failed now: %w",
		dir, filepath.Join(dir, commitName), regular.Cause(err))
}

// MakeDir makes a directory and its parents, each on the disk before it returns. undo removes those of them that are empty.
func MakeDir(dir string) (undo func(), err error) {
	var made []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, at)
	}
	undo = func() {
		for _, at := range made {
			os.Remove(at) // fails if it is not empty
		}
	}
	err = change("make directory", func() error { return os.MkdirAll(dir, 0o755) })
	for i := 0; i < len(made) && err == nil; i++ {
		err = change("sync directory", func() error { return syncDir(filepath.Dir(made[i])) })
	}
	if err != nil {
		undo()
		return nil, fmt.Errorf("%s: the directory cannot be made: %w", dir, regular.Cause(err))
	}
	return undo, nil
}
