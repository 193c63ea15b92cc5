package atomicfile

import (
	"io"
	"os"
	"path/filepath"
)

type renamed struct {
	file *os.File
	path string
	done bool
}

func create(path string) (io.Writer, pending, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path))
	if err != nil {
		return nil, nil, err
	}
	return file, &renamed{file: file, path: path}, nil
}

func (r *renamed) commit() error {
	if err := r.file.Sync(); err != nil {
		return err
	}
	if err := r.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(r.file.Name(), r.path); err != nil {
		return err
	}
	r.done = true
	return nil
}

func (r *renamed) discard() {
	if r.done {
		return
	}
	r.done = true
	r.file.Close()
	os.Remove(r.file.Name())
}

// syncDir does nothing: Windows has no sync for directories.
func syncDir(string) error { return nil }
