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
	Bytes    int64 // of their states, with those that are on their way or left by killed writers
}

// Total counts by a list of names.
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

// Broken is an error of a head that List has passed over.
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
			case err == nil && a.File == "": // it is being made
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

// cached is what a head says, which is not read again where it is still the same. The file is "" of one that is being made.
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

// Evict takes memories away, the longest unused first, until the states of all have at most so many bytes. It passes over those
// that somebody writes, and says whether there is room now.
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

// Collect removes what killed writers have left: states that no head names, and heads of memories that were never made, where they
// are older than so long. Before it takes a state away it writes the head anew, so that no writer who stopped behind the writing of
// his state can name it any more.
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
	stale := map[string][]string{} // states by their memories
	for _, o := range all {
		if now.Sub(o.Modified) < old {
			continue
		}
		name := strings.TrimPrefix(o.Name, s.prefix)
		if id, ok := stateOf(name); ok {
			stale[id] = append(stale[id], name)
		} else if id, ok := strings.CutSuffix(name, HeadSuffix); ok && IsID(id) {
			if a, err := s.cached(ctx, id, o.Version); err != nil || a.File == "" {
				stale[id] = append(stale[id], "") // to be looked at
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

// collect takes those states of a memory away that its head does not name.
func (s *Store) collect(ctx context.Context, id string, names []string) error {
	h, info, err := s.readAny(ctx, id)
	switch {
	case errors.Is(err, ErrBroken): // whose states these are only a person can say
		return nil
	case errors.Is(err, fs.ErrNotExist): // nor will there be a head
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
			return nil // somebody is at work on it
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
