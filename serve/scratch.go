package serve

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"bitgpu/io/atomicfile"

	"github.com/gofrs/flock"
)

const scratchPrefix = "bitgpu-store-"

// scratch makes a directory for temporary files, and removes those of servers that were killed.
func scratch() (dir string, held *flock.Flock, err error) {
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), scratchPrefix+"*"))
	for _, dir := range old {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			continue
		}
		l := flock.New(filepath.Join(dir, ".lock"))
		if got, err := l.TryLock(); err == nil && got {
			atomicfile.RemoveAll(dir)
		}
		l.Close()
	}
	for {
		if dir, err = os.MkdirTemp("", scratchPrefix); err != nil {
			return "", nil, err
		}
		path := filepath.Join(dir, ".lock")
		held = flock.New(path)
		got, err := held.TryLock()
		if _, there := os.Stat(path); err == nil && got && there == nil {
			return dir, held, nil
		}
		held.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		} // another server has mistaken it for a dead one's
	}
}
