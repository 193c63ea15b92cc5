package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
//
// Readers that do not call Recover, such as a web server, see some files of each set until then. [Set.Guard] names a file without
// which they see that the directory is unfinished.
type Set struct {
	dir    string
	lock   *os.File // nil if the system has no locks
	undo   func()
	guards []guard
	done   bool
}

// guard is a file that readers begin with.
type guard struct {
	name   string
	closed []byte
}

const (
	stageName  = ".bitgpu-new"    // what is being written
	commitName = ".bitgpu-commit" // complete, and being moved into place
	goneSuffix = ".gone"          // marks names of files to remove

	// Behind all of that: what happens to a file before the others move, and behind them.
	firstSuffix = ".first"
	lastSuffix  = ".last"
)

// turn returns the file that an entry of the commit is for, whether it is to be removed, and when: 0, 1 or 2.
func turn(entry string) (name string, gone bool, when int) {
	when = 1
	if before, ok := strings.CutSuffix(entry, firstSuffix); ok {
		entry, when = before, 0
	} else if before, ok := strings.CutSuffix(entry, lastSuffix); ok {
		entry, when = before, 2
	}
	name, gone = strings.CutSuffix(entry, goneSuffix)
	return name, gone, when
}

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

// Guard names a file of the set with which readers begin. An old one is replaced by the text closed, or removed if that is nil,
// before any other file is replaced, and the new one comes after all others, in the order of names. So a reader that opens
// the directory while files move, or after a kill in between, does not take files of both sets for a whole.
func (s *Set) Guard(name string, closed []byte) {
	s.guards = append(s.guards, guard{name, closed})
}

// close puts a guard's two turns in the place of its file.
func (g guard) close(s *Set) error {
	err := change("guard", func() error { return os.Rename(s.path(g.name), s.path(g.name+lastSuffix)) })
	if err != nil {
		return describe(filepath.Join(s.dir, g.name), err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, g.name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name := g.name + firstSuffix
	if g.closed == nil {
		name = g.name + goneSuffix + firstSuffix
	}
	return s.Write(name, func(w io.Writer) error {
		_, err := w.Write(g.closed)
		return err
	})
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
	for _, g := range s.guards {
		if err := g.close(s); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(s.path(""))
	if err != nil {
		return describe(s.dir, err)
	}
	for _, entry := range entries {
		name, _, _ := turn(entry.Name())
		target := filepath.Join(s.dir, name)
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
	whenOf := func(e fs.DirEntry) int { _, _, when := turn(e.Name()); return when }
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return whenOf(a) - whenOf(b) })
	for i, entry := range entries {
		if i > 0 && whenOf(entries[i-1]) != whenOf(entry) { // on the disk, too, in this order
			if err := SyncDir(dir); err != nil {
				return unfinished(dir, err)
			}
		}
		from := filepath.Join(commit, entry.Name())
		name, gone, _ := turn(entry.Name())
		move := func() error { return os.Rename(from, filepath.Join(dir, name)) }
		if gone {
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
