// Package store keeps memories where several servers share them: in a directory of a volume, or in a bucket of S3. Each memory has
// one writer at a time and any number of readers, and nothing is lost when a server is killed.
//
// A memory is two objects below the name of its model. ID-RANDOM.memory is a state, and is never written again; the head, ID.json,
// says which state is the memory's, whose it is, and who writes it. Every change of a memory is a change of its head that takes place
// only if the head is still the one that was read ([Objects.Put]).
//
// # Why
//
// Why a lease and a fence? The lease, which its holder renews, says who may write, so that a second writer is refused at once; when it
// has not been renewed for its time, by the clock of who keeps the objects, another may take it. Clocks, and processes that stop for a
// while, can make that come too soon. It costs nobody a memory: who takes a lease changes the head, so the save of the former holder,
// which wants it unchanged, is refused.
//
// Why does every head carry a random mark? An answer may be lost when the write has taken place. Who then finds the own mark knows
// that it has; and no two heads are the same bytes, which servers that make versions of bytes could not tell apart.
//
// Why is a memory not taken away at once? A head that is gone could be made again by a writer who stopped before. So it is first
// marked as gone, which fences that writer, then removed.
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

// About is what is known of a memory beside its state. It is the file that a server with a directory of its own writes as well.
type About struct {
	ID      string `json:"id"`
	Owner   string `json:"owner"`
	Name    string `json:"name,omitempty"`
	Created int64  `json:"created_at"` // Unix time
	Used    int64  `json:"used_at"`
	Tokens  int64  `json:"tokens"`
	Bytes   int64  `json:"bytes"` // of the state
	File    string `json:"file"`  // its name; "" while the memory is made
	Sum     string `json:"sha256"`
}

// The names of a memory's objects.
const (
	HeadSuffix  = ".json"
	StateSuffix = ".memory"
)

var memoryID = regexp.MustCompile(`^mem_[A-Z2-7]{26}$`)

// NewID is the name of a new memory.
func NewID() string { return "mem_" + rand.Text()[:26] }

// IsID says whether a text can name a memory.
func IsID(id string) bool { return memoryID.MatchString(id) }

// NewFile is the name of a memory's next state.
func NewFile(id string) string { return id + "-" + rand.Text()[:26] + StateSuffix }

// stateOf is the memory that a state of this name belongs to.
func stateOf(name string) (id string, ok bool) {
	id, rest, found := strings.Cut(name, "-")
	return id, found && IsID(id) && strings.HasSuffix(rest, StateSuffix)
}

// ParseAbout reads what a server has written about the memory id. The error is [ErrBroken].
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
	Gone   bool    `json:"gone,omitempty"` // nobody writes it any more
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
	// ErrBroken is returned for an object that no server can have written as it is.
	ErrBroken = errors.New("is not what a server has written; move it away")
	// ErrHeld is returned for a memory that somebody else is writing.
	ErrHeld = errors.New("another server is writing the memory")
	// ErrLost is returned to a writer whose lease ran out and was taken by another. The writer has changed nothing.
	ErrLost = errors.New("another server has taken the memory over")
)

// New keeps the memories of a model in a folder of its name. A lease that has not been renewed for so long is free. Objects that do not
// refuse what they must are refused.
func New(ctx context.Context, objects Objects, model string, lease time.Duration) (*Store, error) {
	if lease <= 0 || lease > mostLease {
		return nil, fmt.Errorf("lease: got %v, want a time up to %v", lease, mostLease)
	}
	s := &Store{objects: objects, prefix: model + "/", lease: lease, known: map[string]known{}}
	return s, s.probe(ctx)
}

// probe finds out whether conditions are honoured: a server of S3 that does not know them writes all the same.
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

// Close releases what the objects hold.
func (s *Store) Close() error { return s.objects.Close() }

func (s *Store) headName(id string) string { return s.prefix + id + HeadSuffix }

// read reads a head; a memory that is gone is not there.
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

// swap replaces a head whose version is known.
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
	// The answer of an earlier try may have been lost, and only the answer.
	if there, info, again := s.readAny(ctx, next.ID); again == nil && there.Mark == next.Mark {
		return info.Version, nil
	}
	return "", err
}

// free says whether nobody writes a memory.
func (s *Store) free(ctx context.Context, h head, info Info) (bool, error) {
	if h.Writer == nil {
		return true, nil
	}
	now, err := s.objects.Now(ctx)
	return err == nil && now.Sub(info.Modified) > time.Duration(h.Writer.Milliseconds)*time.Millisecond, err
}

// About is what is known of a memory now. The error is [fs.ErrNotExist], [ErrBroken] or the objects'.
func (s *Store) About(ctx context.Context, id string) (About, error) {
	h, _, err := s.read(ctx, id)
	if err == nil && h.File == "" {
		err = fs.ErrNotExist // it is being made
	}
	return h.About, err
}

// Open opens the state of a memory. It says [fs.ErrNotExist] where another has taken its place meanwhile.
func (s *Store) Open(ctx context.Context, a About) (io.ReadCloser, error) {
	body, _, err := s.objects.Get(ctx, s.prefix+a.File)
	return body, err
}

// Used notes that a memory was read, where nobody writes it. It is no matter if that fails.
func (s *Store) Used(ctx context.Context, id string, when time.Time) {
	if h, info, err := s.read(ctx, id); err == nil && h.Writer == nil && h.Used < when.Unix() {
		h.Used = when.Unix()
		s.swap(ctx, &h, info.Version)
	}
}

// claim has a memory changed that nobody writes; where somebody has only noted that it was read meanwhile, again.
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

// Create begins a memory, which others see when it has been saved. The error is [ErrChanged] where there is one of that ID, or the
// objects'.
func (s *Store) Create(ctx context.Context, a About) (*Lease, error) {
	a.File, a.Bytes, a.Sum = "", 0, ""
	return s.take(ctx, head{About: a}, Absent)
}

// Write begins to write a memory. The error is [ErrHeld] where somebody else does, [fs.ErrNotExist], [ErrBroken] or the objects'.
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

// Delete takes a memory away. The error is [ErrHeld] where somebody writes it, [fs.ErrNotExist], [ErrBroken] or the objects'.
func (s *Store) Delete(ctx context.Context, id string) error {
	return s.claim(ctx, id, func(h head, version string) error { return s.remove(ctx, h, version) })
}

// remove takes a memory away whose head has a version.
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
