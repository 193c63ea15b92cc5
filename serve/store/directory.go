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

// Directory are objects in the files of a directory, which may be that of a volume that many machines have mounted, if its file
// system has locks that all of them see, as NFS from version 4 on and Ceph have. A version is the checksum of the file: it is
// compared, and the next file put in its place, under a lock.
type Directory struct {
	dir string
}

const (
	lockFolder = ".locks"
	lockFiles  = 16 // so that not everybody waits for everybody
	lockPoll   = 5 * time.Millisecond
)

// IsShared says whether servers share a directory.
func IsShared(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, lockFolder))
	return err == nil && info.IsDir()
}

// OpenDirectory makes the directory if it is not there, and refuses one without locks, or in which a server keeps its own memories.
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

// Close leaves the files.
func (d *Directory) Close() error { return nil }

func (d *Directory) path(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

// lock keeps other writers of an object out, and of some others.
func (d *Directory) lock(ctx context.Context, name string) (unlock func(), err error) {
	slot := sha256.Sum256([]byte(name))[0] % lockFiles
	l := flock.New(filepath.Join(d.dir, lockFolder, fmt.Sprint(slot)), flock.SetFlag(os.O_CREATE|os.O_RDWR)) // NFS locks what can be written
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

// info reads a file for its version, and goes back to its beginning.
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

// version is that of a file that may not be there.
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
		if errors.Is(err, fs.ErrNotExist) { // it has gone meanwhile, or nothing has been written
			return nil
		}
		if err != nil {
			return err
		}
		if name := e.Name(); path != d.path(folder) && strings.HasPrefix(name, ".") { // locks, and what is on its way
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

// tidy removes what killed processes have left on its way to names with a prefix.
func (d *Directory) tidy(prefix string) { atomicfile.ClearStale(filepath.Dir(d.path(prefix + "x"))) }

// Now implements [Objects]: the clock is that of who keeps the files, and is read from a file that is made for it.
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
