package store

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"
)

// Lease lets its holder write a memory. It is renewed until Save or Release ends it; call one of them.
type Lease struct {
	store *Store
	token string
	stop  context.CancelFunc
	ended sync.WaitGroup // the renewing goroutine

	mu      sync.Mutex
	head    head
	version string
	over    bool // Save or Release was called
}

// take makes a caller the writer of a memory, whose head must still have the given version.
func (s *Store) take(ctx context.Context, h head, version string) (*Lease, error) {
	l := &Lease{store: s, token: rand.Text()}
	h.Writer = &writer{l.token, s.lease.Milliseconds()}
	version, err := s.swap(ctx, &h, version)
	if err != nil {
		return nil, err
	}
	l.head, l.version = h, version
	renewing, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.ended.Go(func() { l.renew(renewing) })
	return l, nil
}

// renew regularly records that the holder is alive.
func (l *Lease) renew(ctx context.Context) {
	tick := time.NewTicker(l.store.lease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := l.change(ctx, func(*head) {}); errors.Is(err, ErrLost) {
				return
			}
		}
	}
}

// end stops renewing. A renewal in progress may still have been written; change detects that.
func (l *Lease) end() {
	l.stop()
	l.ended.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// About returns the description of the memory as it was last saved.
func (l *Lease) About() About {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.About
}

// change rewrites the head while the lease is held.
func (l *Lease) change(ctx context.Context, how func(*head)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		next := l.head
		how(&next)
		version, err := l.store.swap(ctx, &next, l.version)
		if err == nil {
			l.head, l.version = next, version
			return nil
		}
		if !errors.Is(err, ErrChanged) {
			return err
		}
		there, info, err := l.store.readAny(ctx, l.head.ID)
		switch {
		case err == nil && there.Mark == next.Mark: // the write succeeded, which swap could not see
			l.head, l.version = next, info.Version
			return nil
		case errors.Is(err, fs.ErrNotExist), err == nil && (there.Gone || there.Writer == nil || there.Writer.Token != l.token):
			return ErrLost
		case err != nil:
			return err
		case info.Version == l.version:
			return ErrChanged // the head is the same: the write was refused for another reason
		}
		l.head, l.version = there, info.Version // our own write, whose answer was lost
	}
}

// Save makes a state the memory's, under a new file name, and ends the lease. If there is no error the memory durably has the
// state. With [ErrLost] it does not. With any other error it may or may not have it, for example because the objects did not
// answer.
func (l *Lease) Save(ctx context.Context, next About, state io.ReadSeeker) (About, error) {
	s, old := l.store, l.About()
	next.File = NewFile(next.ID)
	_, err := s.objects.Put(ctx, s.prefix+next.File, state, Absent)
	if errors.Is(err, ErrChanged) { // nobody else uses this name: it is our own attempt, whose answer was lost
		err = nil
	}
	l.end()
	if err == nil {
		err = l.change(ctx, func(h *head) { h.About, h.Writer = next, nil })
	}
	switch {
	case errors.Is(err, ErrLost):
		s.objects.Delete(ctx, s.prefix+next.File)
	case err != nil:
		l.give(context.WithoutCancel(ctx))
	case old.File != "":
		s.objects.Delete(ctx, s.prefix+old.File) // if this fails, Collect finds it
	}
	return l.About(), err
}

// Release ends the lease unless Save has, and leaves the memory as it was. A memory that was never saved is removed.
func (l *Lease) Release(ctx context.Context) {
	l.mu.Lock()
	over := l.over
	l.mu.Unlock()
	if !over {
		l.end()
		l.give(ctx)
	}
}

// give returns the lease.
func (l *Lease) give(ctx context.Context) {
	unmade := l.About().File == ""
	if err := l.change(ctx, func(h *head) { h.Writer, h.Gone = nil, unmade }); err == nil && unmade {
		l.store.objects.Delete(ctx, l.store.headName(l.head.ID))
	}
}
