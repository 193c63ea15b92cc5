package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bitgpu/io/atomicfile"

	"github.com/gofrs/flock"
)

// Directory stores objects in the files of a directory. Many machines may have mounted it if its file system has locks that
// all of them see, as NFS since version 4 and Ceph have. The version of an object is the checksum of its file. Comparing it
// and replacing the file happen under a lock.
type Directory struct {
	dir string
}

const (
	lockFolder = ".locks"
	lockFiles  = 16 // so that not every writer waits for all others
	lockPoll   = 5 * time.Millisecond
)

// IsShared reports whether servers share a directory.
func IsShared(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, lockFolder))
	return err == nil && info.IsDir()
}

// OpenDirectory opens a directory, creating it if necessary. It refuses one without locks, or one in which a server keeps
// memories of its own.
func OpenDirectory(dir string) (*Directory, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	own, _ := filepath.Glob(filepath.Join(dir, "*", ".lock"))
	for _, path := range own {
		l := flock.New(path)
		got, err := l.TryLock()
		l.Close()
		if err == nil && !got {
			return nil, fmt.Errorf("%s: a server keeps memories there that it does not share", dir)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, lockFolder), 0o700); err != nil {
		return nil, err
	}
	d := &Directory{dir}
	unlock, err := d.lock(context.Background(), "")
	if err != nil {
		return nil, err
	}
	unlock()
	return d, nil
}

func (d *Directory) String() string { return d.dir }

// Close does nothing: the files stay.
func (d *Directory) Close() error { return nil }

func (d *Directory) path(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

// lock keeps other writers away from an object, and from some others.
func (d *Directory) lock(ctx context.Context, name string) (unlock func(), err error) {
	slot := sha256.Sum256([]byte(name))[0] % lockFiles
	l := flock.New(filepath.Join(d.dir, lockFolder, fmt.Sprint(slot)), flock.SetFlag(os.O_CREATE|os.O_RDWR)) // NFS only locks files opened for writing
	if _, err := l.TryLockContext(ctx, lockPoll); err != nil {
		l.Close()
		return nil, fmt.Errorf("%s: cannot be locked: %w", d.path(name), err)
	}
	return func() { l.Close() }, nil
}

// Get implements [Objects].
func (d *Directory) Get(_ context.Context, name string) (io.ReadCloser, Info, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, Info{}, err
	}
	info, err := d.info(name, f)
	if err != nil {
		f.Close()
		return nil, Info{}, err
	}
	return f, info, nil
}

// info reads a file for its version, and seeks back to the start.
func (d *Directory) info(name string, f *os.File) (Info, error) {
	stat, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	if !stat.Mode().IsRegular() {
		return Info{}, fmt.Errorf("%s: got %s, want a file", d.path(name), stat.Mode().Type())
	}
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return Info{name, size, hex.EncodeToString(h.Sum(nil)), stat.ModTime()}, err
}

// version returns that of a file, which may not exist.
func (d *Directory) version(name string) (string, error) {
	f, err := os.Open(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return Absent, nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := d.info(name, f)
	return info.Version, err
}

// Put implements [Objects].
func (d *Directory) Put(ctx context.Context, name string, body io.ReadSeeker, version string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(d.path(name)), 0o700); err != nil {
		return "", err
	}
	f, err := atomicfile.Create(d.path(name))
	if err != nil {
		return "", err
	}
	defer f.Discard()
	h := sha256.New()
	if _, err := sizeOf(body); err != nil {
		return "", err
	}
	if _, err := io.Copy(io.MultiWriter(f, h), body); err != nil {
		return "", err
	}
	unlock, err := d.lock(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	there, err := d.version(name)
	if err != nil {
		return "", err
	}
	if there != version {
		return "", ErrChanged
	}
	return hex.EncodeToString(h.Sum(nil)), f.Commit()
}

// Delete implements [Objects].
func (d *Directory) Delete(ctx context.Context, name string) error {
	unlock, err := d.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := atomicfile.SyncDir(filepath.Dir(d.path(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// List implements [Objects].
func (d *Directory) List(_ context.Context, prefix string) (found []Info, err error) {
	folder := prefix[:strings.LastIndexByte(prefix, '/')+1]
	err = filepath.WalkDir(d.path(folder), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it has been removed meanwhile, or nothing has been written
			return nil
		}
		if err != nil {
			return err
		}
		if name := e.Name(); path != d.path(folder) && strings.HasPrefix(name, ".") { // locks, and temporary files
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		relative, err := filepath.Rel(d.dir, path)
		if err != nil || !e.Type().IsRegular() || !strings.HasPrefix(filepath.ToSlash(relative), prefix) {
			return err
		}
		stat, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		found = append(found, Info{Name: filepath.ToSlash(relative), Size: stat.Size(), Modified: stat.ModTime()})
		return nil
	})
	slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return found, err
}

// tidy removes temporary files that killed processes left for names with a prefix.
func (d *Directory) tidy(prefix string) { atomicfile.ClearStale(filepath.Dir(d.path(prefix + "x"))) }

// Now implements [Objects]. It creates a file and reads its time, which is by the clock of the file system.
func (d *Directory) Now(context.Context) (time.Time, error) {
	f, err := os.CreateTemp(filepath.Join(d.dir, lockFolder), ".clock-")
	if err != nil {
		return time.Time{}, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write([]byte{0}); err != nil {
		return time.Time{}, err
	}
	stat, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return stat.ModTime(), nil
}
