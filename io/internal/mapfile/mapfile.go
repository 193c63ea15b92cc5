// Package mapfile maps files into memory, read-only. On systems without memory maps it reads them.
//
// It is not for files that others change in place. bitgpu replaces files by renaming, which leaves a map of the old file
// intact; maps of files that another program may truncate are read under [regular.Guard].
package mapfile

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/edsrzf/mmap-go"

	"bitgpu/io/regular"
)

// File is a mapped file. Data is empty for an empty file, and must not be used after Close.
type File struct {
	Data   []byte
	mapped mmap.MMap
}

// piece is how much is read at once where there are no maps: in a browser every read is copied once more.
const piece = 4 << 20

// maxRead leaves room, in the four gigabytes of WebAssembly, for what is made from the file.
const maxRead = 2 << 30

// Open maps path. Errors name path and say what is wrong.
func Open(path string) (*File, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, regular.Cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case info.Size() == 0:
		return &File{}, nil
	case info.Size() > math.MaxInt:
		return nil, fmt.Errorf("%s: %d bytes are more than this machine can address", path, info.Size())
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if errors.Is(err, errors.ErrUnsupported) { // by the system, as WebAssembly's
		if info.Size() > maxRead {
			return nil, fmt.Errorf("%s: got %d bytes, want at most %d where the system maps no files into memory, as a browser", path, info.Size(), int64(maxRead))
		}
		data := make([]byte, info.Size())
		for rest := data; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			if _, err := io.ReadFull(f, rest[:min(piece, len(rest))]); err != nil {
				return nil, fmt.Errorf("%s: %w", path, regular.Cause(err))
			}
		}
		return &File{Data: data}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be mapped into memory: %w", path, err)
	}
	regular.Mapped(path, m)
	return &File{Data: m, mapped: m}, nil
}

// Close unmaps the file. Calling it twice does nothing.
func (f *File) Close() error {
	if f.mapped == nil {
		f.Data = nil
		return nil
	}
	regular.Unmapped(f.mapped)
	err := f.mapped.Unmap()
	f.Data, f.mapped = nil, nil
	return err
}
