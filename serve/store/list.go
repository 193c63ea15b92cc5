package store

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
)

// Total is what all memories take.
type Total struct {
	Memories int
	Bytes    int64 // of states, including temporary ones and those left by killed writers
}

// Total counts from a list of names.
func (s *Store) Total(ctx context.Context) (t Total, err error) {
	all, err := s.objects.List(ctx, s.prefix)
	for _, o := range all {
		name := strings.TrimPrefix(o.Name, s.prefix)
		if id, ok := strings.CutSuffix(name, HeadSuffix); ok && IsID(id) {
			t.Memories++
		} else if _, ok := stateOf(name); ok {
			t.Bytes += o.Size
		}
	}
	return t, err
}

// Broken is called with the error of a head that List has skipped.
type Broken func(error)

// List lists all memories. broken is called for heads that cannot be read.
func (s *Store) List(ctx context.Context, broken Broken) ([]About, error) {
	all, err := s.objects.List(ctx, s.prefix+"mem_")
	if err != nil {
		return nil, err
	}
	const together = 16
	var mu sync.Mutex
	var found []About
	var failed error
	var reading sync.WaitGroup
	places := make(chan struct{}, together)
	for _, o := range all {
		id, ok := strings.CutSuffix(strings.TrimPrefix(o.Name, s.prefix), HeadSuffix)
		if !ok || !IsID(id) {
			continue
		}
		places <- struct{}{}
		reading.Go(func() {
			defer func() { <-places }()
			a, err := s.cached(ctx, id, o.Version)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && a.File == "": // it is being created
			case err == nil:
				found = append(found, a)
			case errors.Is(err, ErrBroken):
				broken(err)
			case !errors.Is(err, fs.ErrNotExist):
				failed = err
			}
		})
	}
	reading.Wait()
	return found, failed
}

// cached returns the contents of a head, which is not read again if it has not changed. File is "" if it is being created.
func (s *Store) cached(ctx context.Context, id, version string) (About, error) {
	s.mu.Lock()
	k, ok := s.known[id]
	s.mu.Unlock()
	if ok && version != "" && k.version == version {
		return k.About, nil
	}
	h, info, err := s.read(ctx, id)
	if err != nil {
		return About{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= mostKnown {
		clear(s.known)
	}
	s.known[id] = known{h.About, info.Version}
	return h.About, nil
}

// Evict deletes memories, the least recently used first, until all states together have at most `most` bytes. It skips those
// being written, and reports whether there is enough room now.
func (s *Store) Evict(ctx context.Context, most int64, broken Broken) (bool, error) {
	t, err := s.Total(ctx)
	if err != nil || t.Bytes <= most {
		return err == nil, err
	}
	all, err := s.List(ctx, broken)
	if err != nil {
		return false, err
	}
	slices.SortFunc(all, func(a, b About) int {
		if a.Used != b.Used {
			return int(a.Used - b.Used)
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, a := range all {
		switch err := s.Delete(ctx, a.ID); {
		case err == nil:
			t.Bytes -= a.Bytes
		case !errors.Is(err, ErrHeld) && !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
		if t.Bytes <= most {
			return true, nil
		}
	}
	return false, nil
}

// Collect removes what killed writers have left and is older than `old`: states that no head names, and heads of memories
// that were never completed. Before it removes a state it rewrites the head. A writer that was suspended after it wrote its
// state can then no longer refer to it.
func (s *Store) Collect(ctx context.Context, old time.Duration) error {
	if d, ok := s.objects.(interface{ tidy(string) }); ok {
		d.tidy(s.prefix)
	}
	all, err := s.objects.List(ctx, s.prefix)
	if err != nil {
		return err
	}
	now, err := s.objects.Now(ctx)
	if err != nil {
		return err
	}
	stale := map[string][]string{} // states by memory
	for _, o := range all {
		if now.Sub(o.Modified) < old {
			continue
		}
		name := strings.TrimPrefix(o.Name, s.prefix)
		if id, ok := stateOf(name); ok {
			stale[id] = append(stale[id], name)
		} else if id, ok := strings.CutSuffix(name, HeadSuffix); ok && IsID(id) {
			if a, err := s.cached(ctx, id, o.Version); err != nil || a.File == "" {
				stale[id] = append(stale[id], "") // examine it
			}
		} else if strings.HasPrefix(name, probePrefix) {
			if err := s.objects.Delete(ctx, o.Name); err != nil {
				return err
			}
		}
	}
	for id, names := range stale {
		if err := s.collect(ctx, id, names); err != nil {
			return err
		}
	}
	return nil
}

// collect removes those states of a memory that its head does not name.
func (s *Store) collect(ctx context.Context, id string, names []string) error {
	h, info, err := s.readAny(ctx, id)
	switch {
	case errors.Is(err, ErrBroken): // only a person can say whose states these are
		return nil
	case errors.Is(err, fs.ErrNotExist): // and there will be no head
		h = head{Gone: true}
	case err != nil:
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" || !h.Gone && name == h.File })
	if !h.Gone {
		if ok, err := s.free(ctx, h, info); err != nil || !ok {
			return err
		}
		unmade := h.File == ""
		if len(names) == 0 && !unmade {
			return nil
		}
		h.Writer, h.Gone = nil, unmade
		if _, err := s.swap(ctx, &h, info.Version); errors.Is(err, ErrChanged) {
			return nil // a writer is at work on it
		} else if err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := s.objects.Delete(ctx, s.prefix+name); err != nil {
			return err
		}
	}
	if h.Gone {
		return s.objects.Delete(ctx, s.headName(id))
	}
	return nil
}
