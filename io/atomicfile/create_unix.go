//go:build !windows

package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
)

type renamed struct{ file *renameio.PendingFile }

func create(path string) (io.Writer, pending, error) {
	file, err := renameio.NewPendingFile(path,
		renameio.WithTempDir(filepath.Dir(path)),
		renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
	if err != nil {
		return nil, nil, err
	}
	return file, renamed{file}, nil
}

func (r renamed) commit() error { return r.file.CloseAtomicallyReplace() }

// discard has no one to tell: what it fails to remove is a temporary file, and the caller has an error already.
func (r renamed) discard() { _ = r.file.Cleanup() }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		// A directory may allow writing and not reading; the file is in its place all the same.
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems have no sync for directories and say so; they order renames by themselves.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
