package store

import (
	"context"
	"errors"
	"io"
	"time"
)

// Objects are named bytes that several processes share: an S3 bucket, or a directory of a volume. Names are like those of
// files, with slashes between folders. All methods may be called concurrently, also by several processes.
type Objects interface {
	// Get opens an object; the error is [fs.ErrNotExist] if there is none. What is read does not change meanwhile.
	Get(ctx context.Context, name string) (io.ReadCloser, Info, error)
	// Put writes a whole object if it still has the given version; otherwise the error is [ErrChanged]. With [Absent] it writes
	// an object that does not exist yet. What it has written is durable, and has a new version unless the bytes are the same.
	// After any other error than ErrChanged the object may have been written, or may still be.
	Put(ctx context.Context, name string, body io.ReadSeeker, version string) (written string, err error)
	// Delete deletes an object; it is no error if there is none.
	Delete(ctx context.Context, name string) error
	// List lists all objects whose names begin with a prefix.
	List(ctx context.Context, prefix string) ([]Info, error)
	// Now returns the time by the clock of Info.Modified.
	Now(ctx context.Context) (time.Time, error)
	// String names the place, for messages.
	String() string
	Close() error
}

// Info describes an object.
type Info struct {
	Name     string
	Size     int64
	Version  string    // "" if a list does not include it
	Modified time.Time // by the clock of the objects
}

// Absent is the version of an object that does not exist.
const Absent = ""

// ErrChanged is returned for a write to an object that no longer has the version that the writer knew.
var ErrChanged = errors.New("somebody else has written it")

// sizeOf returns the size of a body and seeks to its start.
func sizeOf(body io.ReadSeeker) (int64, error) {
	size, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	return size, err
}
