// Package regular opens the files that the program reads. It accepts only regular files: a pipe without a writer would block
// the program for ever, and a device such as /dev/zero has no end.
//
// It is not for streams: commands that read one say so and read stdin.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Check refuses anything but a regular file. Its error, like those of the other functions, is a *[fs.PathError].
func Check(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return info, check(path, info)
}

// Cause strips the operation and path from an error of the operating system, for messages that name the file themselves, or
// that should not name a temporary file. Other errors are returned unchanged.
func Cause(err error) error {
	if err == nil {
		return nil // without allocating
	}
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

func check(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("got a directory, want a file")}
	case !info.Mode().IsRegular():
		return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("got %s, want a regular file", Kind(info.Mode()))}
	}
	return nil
}

// Kind describes in words a file that is not regular.
func Kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return mode.Type().String()
}

// Open opens a regular file for reading.
func Open(path string) (*os.File, error) {
	if _, err := Check(path); err != nil { // before opening, which would wait for the writer of a pipe
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = check(path, info) // it may have been replaced meanwhile
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// maxFile is more than any file that is read as a whole: configurations, tokenizers, lists of numbers.
const maxFile = 1 << 30

// ReadFile reads a whole regular file of at most 1 GiB.
func ReadFile(path string) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("%s: got %d bytes, want at most %d of a file that is read whole", path, info.Size(), maxFile)
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}
