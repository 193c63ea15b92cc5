package store

import (
	"context"
	"errors"
	"io"
	"time"
)

// Objects are named bytes that several processes share: a bucket of S3, a directory of a volume. Names are those of files, with
// slashes between folders. All methods may be called at once, by several processes.
type Objects interface {
	// Get opens an object, or says [fs.ErrNotExist]. It stays what it was while it is read.
	Get(ctx context.Context, name string) (io.ReadCloser, Info, error)
	// Put writes an object as a whole if its version is still the one given; it says [ErrChanged] where it is another. With
	// [Absent] it writes one that is not there. What it has written is durable, and is another version than all before if it is
	// other bytes. Behind any other error than ErrChanged the object may have been written, or be written yet.
	Put(ctx context.Context, name string, body io.ReadSeeker, version string) (written string, err error)
	// Delete takes an object away; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// List is all objects whose names begin with a prefix.
	List(ctx context.Context, prefix string) ([]Info, error)
	// Now is the time by the clock that Info.Modified is of.
	Now(ctx context.Context) (time.Time, error)
	// String names the place, for messages.
	String() string
	Close() error
}

// Info is what is known of an object without its bytes.
type Info struct {
	Name     string
	Size     int64
	Version  string    // "" where a list does not say
	Modified time.Time // by the clock of the objects
}

// Absent is the version of what is not there.
const Absent = ""

// ErrChanged is returned for a write to an object that is no longer the version that the writer knew.
var ErrChanged = errors.New("somebody else has written it")

// sizeOf is how many bytes a body has; it is at its beginning then.
func sizeOf(body io.ReadSeeker) (int64, error) {
	size, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	return size, err
}
