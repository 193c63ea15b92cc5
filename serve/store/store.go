// Package store keeps memories that several servers share: in a directory of a volume, or in an S3 bucket. Each memory has
// one writer at a time and any number of readers, and nothing is lost when a server is killed.
//
// A memory is two objects below the name of its model. ID-RANDOM.memory is a state, and is never rewritten. The head,
// ID.json, says which state is the memory's, whose it is, and who is writing it. Every change to a memory is a change of its
// head that only takes effect if the head is still the one that was read ([Objects.Put]).
//
// # Why
//
// Why a lease and a fence? The lease, which its holder renews, says who may write, so that a second writer is refused at
// once. If it has not been renewed in time, by the clock of the objects, another server may take it. Wrong clocks, and
// processes that are suspended for a while, can make that happen too soon. But no memory is lost: taking a lease changes the
// head, so the former holder's save, which requires it to be unchanged, is refused.
//
// Why does every head contain a random mark? The answer to a write may be lost although the write took effect. A writer that
// then finds its own mark knows that it did. Also no two heads have the same bytes, which servers that derive versions from
// the bytes could not tell apart.
//
// Why is a memory not deleted at once? A writer that was suspended could create a deleted head again. So it is first marked
// as gone, which fences that writer, and then removed.
package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// About describes a memory, without its state. A server with a directory of its own writes it to a file, too.
type About struct {
	ID      string `json:"id"`
	Owner   string `json:"owner"`
	Name    string `json:"name,omitempty"`
	Created int64  `json:"created_at"` // Unix time
	Used    int64  `json:"used_at"`
	Tokens  int64  `json:"tokens"`
	Bytes   int64  `json:"bytes"` // of the state
	File    string `json:"file"`  // of the state; "" while the memory is being created
	Sum     string `json:"sha256"`
}

// The names of a memory's objects.
const (
	HeadSuffix  = ".json"
	StateSuffix = ".memory"
)

var memoryID = regexp.MustCompile(`^mem_[A-Z2-7]{26}$`)

// NewID returns the name of a new memory.
func NewID() string { return "mem_" + rand.Text()[:26] }

// IsID reports whether a text can name a memory.
func IsID(id string) bool { return memoryID.MatchString(id) }

// NewFile returns a name for a memory's next state.
func NewFile(id string) string { return id + "-" + rand.Text()[:26] + StateSuffix }

// stateOf returns the memory that a state with this name belongs to.
func stateOf(name string) (id string, ok bool) {
	id, rest, found := strings.Cut(name, "-")
	return id, found && IsID(id) && strings.HasSuffix(rest, StateSuffix)
}

// ParseAbout parses what a server has written about the memory id. The error is [ErrBroken].
func ParseAbout(id string, data []byte) (About, error) {
	var a About
	err := json.Unmarshal(data, &a)
	return a, checkAbout(id, a, err)
}

func checkAbout(id string, a About, err error) error {
	of, ok := stateOf(a.File)
	if err == nil && a.ID == id && a.Tokens >= 0 && a.Bytes >= 0 && (a.File == "" || ok && of == id && path.Base(a.File) == a.File) {
		return nil
	}
	return ErrBroken
}

// head is the object of a memory.
type head struct {
	About
	Writer *writer `json:"writer,omitempty"`
	Gone   bool    `json:"gone,omitempty"` // nobody may write it any more
	Mark   string  `json:"mark"`           // of this write
}

// writer says who may write a memory, and for how long after the head was written.
type writer struct {
	Token        string `json:"token"`
	Milliseconds int64  `json:"lease_ms"`
}

const probePrefix = "probe-"

const (
	mostHead  = 16 << 10 // bytes
	mostLease = 24 * time.Hour
)

// Store keeps the memories of a model.
type Store struct {
	objects Objects
	prefix  string
	lease   time.Duration

	mu    sync.Mutex
	known map[string]known // heads that were read for a list
}

type known struct {
	About
	version string
}

const mostKnown = 1 << 16

var (
	// ErrBroken is returned for an object that no server can have written.
	ErrBroken = errors.New("is not what a server has written; move it away")
	// ErrHeld is returned for a memory that is being written.
	ErrHeld = errors.New("another server is writing the memory")
	// ErrLost is returned to a writer whose lease expired and was taken by another. The writer has changed nothing.
	ErrLost = errors.New("another server has taken the memory over")
)

// New opens the memories of a model in a folder with its name. A lease that has not been renewed for the given time is free.
// Objects that do not honour conditions are refused.
func New(ctx context.Context, objects Objects, model string, lease time.Duration) (*Store, error) {
	if lease <= 0 || lease > mostLease {
		return nil, fmt.Errorf("lease: got %v, want a time up to %v", lease, mostLease)
	}
	s := &Store{objects: objects, prefix: model + "/", lease: lease, known: map[string]known{}}
	return s, s.probe(ctx)
}

// probe checks that conditions are honoured: an S3 server that does not know them would write anyway.
func (s *Store) probe(ctx context.Context) error {
	name := s.prefix + probePrefix + rand.Text()
	put := func(text, version string) (string, error) {
		return s.objects.Put(ctx, name, strings.NewReader(text), version)
	}
	defer s.objects.Delete(context.WithoutCancel(ctx), name)
	first, err := put("1", Absent)
	if err != nil {
		return fmt.Errorf("%s: cannot be written: %w", s.objects, err)
	}
	for _, version := range []string{Absent, "0123456789abcdef0123456789abcdef"} {
		if _, err := put("2", version); !errors.Is(err, ErrChanged) {
			return fmt.Errorf("%s: got %v for a write that had to be refused, want one that heeds If-Match and If-None-Match: without them two servers could write one memory",
				s.objects, err)
		}
	}
	if _, err := put("3", first); err != nil {
		return fmt.Errorf("%s: got %w for a write that had to take place", s.objects, err)
	}
	return nil
}

// Close closes the objects.
func (s *Store) Close() error { return s.objects.Close() }

func (s *Store) headName(id string) string { return s.prefix + id + HeadSuffix }

// read reads a head; the error is [fs.ErrNotExist] if the memory is gone.
func (s *Store) read(ctx context.Context, id string) (head, Info, error) {
	h, info, err := s.readAny(ctx, id)
	if err == nil && h.Gone {
		err = fs.ErrNotExist
	}
	return h, info, err
}

func (s *Store) readAny(ctx context.Context, id string) (h head, info Info, err error) {
	if !IsID(id) {
		return h, info, fs.ErrNotExist
	}
	body, info, err := s.objects.Get(ctx, s.headName(id))
	if err != nil {
		return h, info, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, mostHead))
	if err != nil {
		return h, info, fmt.Errorf("%s/%s: %w", s.objects, s.headName(id), err)
	}
	err = json.Unmarshal(data, &h)
	if w := h.Writer; err == nil && w != nil && (w.Milliseconds < 0 || w.Milliseconds > mostLease.Milliseconds()) {
		err = ErrBroken
	}
	if err := checkAbout(id, h.About, err); err != nil {
		return h, info, fmt.Errorf("%s/%s: %w", s.objects, s.headName(id), err)
	}
	return h, info, nil
}

// swap replaces a head of a known version.
func (s *Store) swap(ctx context.Context, next *head, version string) (string, error) {
	next.Mark = rand.Text()
	data, err := json.Marshal(next)
	if err != nil {
		return "", err
	}
	if len(data) >= mostHead {
		return "", fmt.Errorf("%s: got %d bytes, want fewer than %d", next.ID, len(data), mostHead)
	}
	written, err := s.objects.Put(ctx, s.headName(next.ID), bytes.NewReader(data), version)
	if err == nil {
		return written, nil
	}
	// An earlier attempt may have succeeded, with only its answer lost.
	if there, info, again := s.readAny(ctx, next.ID); again == nil && there.Mark == next.Mark {
		return info.Version, nil
	}
	return "", err
}

// free reports whether nobody is writing a memory.
func (s *Store) free(ctx context.Context, h head, info Info) (bool, error) {
	if h.Writer == nil {
		return true, nil
	}
	now, err := s.objects.Now(ctx)
	return err == nil && now.Sub(info.Modified) > time.Duration(h.Writer.Milliseconds)*time.Millisecond, err
}

// About returns the current description of a memory. The error is [fs.ErrNotExist], [ErrBroken] or that of the objects.
func (s *Store) About(ctx context.Context, id string) (About, error) {
	h, _, err := s.read(ctx, id)
	if err == nil && h.File == "" {
		err = fs.ErrNotExist // it is being created
	}
	return h.About, err
}

// Open opens the state of a memory. The error is [fs.ErrNotExist] if another state has replaced it meanwhile.
func (s *Store) Open(ctx context.Context, a About) (io.ReadCloser, error) {
	body, _, err := s.objects.Get(ctx, s.prefix+a.File)
	return body, err
}

// Used records that a memory was read, unless somebody is writing it. A failure does not matter.
func (s *Store) Used(ctx context.Context, id string, when time.Time) {
	if h, info, err := s.read(ctx, id); err == nil && h.Writer == nil && h.Used < when.Unix() {
		h.Used = when.Unix()
		s.swap(ctx, &h, info.Version)
	}
}

// claim changes a memory that nobody is writing. It tries again if the head only changed because somebody recorded a read.
func (s *Store) claim(ctx context.Context, id string, change func(h head, version string) error) error {
	for range 8 {
		h, info, err := s.read(ctx, id)
		if err != nil {
			return err
		}
		if ok, err := s.free(ctx, h, info); err != nil {
			return err
		} else if !ok {
			return ErrHeld
		}
		if err := change(h, info.Version); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return ErrHeld
}

// Create begins a memory, which others see once it has been saved. The error is [ErrChanged] if the ID is taken, or that of
// the objects.
func (s *Store) Create(ctx context.Context, a About) (*Lease, error) {
	a.File, a.Bytes, a.Sum = "", 0, ""
	return s.take(ctx, head{About: a}, Absent)
}

// Write begins to write a memory. The error is [ErrHeld] if somebody else is writing it, [fs.ErrNotExist], [ErrBroken] or
// that of the objects.
func (s *Store) Write(ctx context.Context, id string) (l *Lease, err error) {
	err = s.claim(ctx, id, func(h head, version string) (err error) {
		if h.File == "" {
			return fs.ErrNotExist
		}
		l, err = s.take(ctx, h, version)
		return err
	})
	return l, err
}

// Delete deletes a memory. The error is [ErrHeld] if somebody is writing it, [fs.ErrNotExist], [ErrBroken] or that of the
// objects.
func (s *Store) Delete(ctx context.Context, id string) error {
	return s.claim(ctx, id, func(h head, version string) error { return s.remove(ctx, h, version) })
}

// remove deletes a memory whose head has a known version.
func (s *Store) remove(ctx context.Context, h head, version string) error {
	h.Writer, h.Gone = nil, true
	if _, err := s.swap(ctx, &h, version); err != nil {
		return err
	}
	if h.File != "" {
		if err := s.objects.Delete(ctx, s.prefix+h.File); err != nil {
			return err
		}
	}
	return s.objects.Delete(ctx, s.headName(h.ID))
}
