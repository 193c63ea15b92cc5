package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"
)

const longLease = time.Minute // that no test waits for

func newStore(t *testing.T, o Objects, lease time.Duration) *Store {
	t.Helper()
	s, err := New(t.Context(), o, "model", lease)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// made is a memory with a text for its state.
func made(t *testing.T, s *Store, text string) About {
	t.Helper()
	l, err := s.Create(t.Context(), About{ID: NewID(), Owner: "me", Created: 1, Used: 1})
	if err != nil {
		t.Fatal(err)
	}
	return saved(t, l, text)
}

func saved(t *testing.T, l *Lease, text string) About {
	t.Helper()
	a, err := save(t, l, text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func save(t *testing.T, l *Lease, text string) (About, error) {
	sum := sha256.Sum256([]byte(text))
	next := l.About()
	next.Tokens, next.Bytes, next.Sum = int64(len(text)), int64(len(text)), hex.EncodeToString(sum[:])
	return l.Save(t.Context(), next, strings.NewReader(text))
}

func stateText(t *testing.T, s *Store, id string) string {
	t.Helper()
	a, err := s.About(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	body, err := s.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil || int64(len(data)) != a.Bytes {
		t.Fatalf("got %d bytes, %v, want %d", len(data), err, a.Bytes)
	}
	return string(data)
}

// names are all objects of a store.
func names(t *testing.T, s *Store) (found []string) {
	t.Helper()
	all, err := s.objects.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		found = append(found, o.Name)
	}
	return found
}

func write(t *testing.T, s *Store, id string) *Lease {
	t.Helper()
	l, err := s.Write(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// silence has the holder of a lease look dead: it renews no more, and the others' clock has moved on.
func silence(t *testing.T, l *Lease) {
	t.Helper()
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = false
}

// late are objects whose clock is ahead.
type late struct {
	Objects
	by time.Duration
}

func (o late) Now(ctx context.Context) (time.Time, error) {
	now, err := o.Objects.Now(ctx)
	return now.Add(o.by), err
}

// TestMemories: what one server keeps another has, and one at a time writes it.
func TestMemories(t *testing.T) {
	everywhere(t, func(t *testing.T, again func() Objects) {
		one, two := newStore(t, again(), longLease), newStore(t, again(), longLease)
		ctx := t.Context()
		l, err := one.Create(ctx, About{ID: NewID(), Owner: "me"})
		if err != nil {
			t.Fatal(err)
		}
		id := l.About().ID
		if _, err := two.About(ctx, id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("one that is being made: got %v", err)
		}
		saved(t, l, "first")
		if got := stateText(t, two, id); got != "first" {
			t.Errorf("got %q", got)
		}
		l = write(t, one, id)
		if _, err := two.Write(ctx, id); !errors.Is(err, ErrHeld) {
			t.Errorf("a second writer: got %v", err)
		}
		if err := two.Delete(ctx, id); !errors.Is(err, ErrHeld) {
			t.Errorf("deleting: got %v", err)
		}
		if got := stateText(t, two, id); got != "first" {
			t.Errorf("a reader: got %q", got)
		}
		saved(t, l, "second")
		l = write(t, two, id)
		l.Release(ctx)
		l.Release(ctx)
		if got := stateText(t, one, id); got != "second" {
			t.Errorf("behind a writer who has given up: got %q", got)
		}
		unmade, err := one.Create(ctx, About{ID: NewID()})
		if err != nil {
			t.Fatal(err)
		}
		unmade.Release(ctx)
		if got := names(t, one); len(got) != 2 {
			t.Errorf("got the objects %q, want the head and a state", got)
		}
		two.Used(ctx, id, time.Unix(99, 0))
		if a, err := one.About(ctx, id); err != nil || a.Used != 99 {
			t.Errorf("got %+v, %v", a, err)
		}
		if err := two.Delete(ctx, id); err != nil {
			t.Error(err)
		}
		if _, err := one.Write(ctx, id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a memory that was deleted: got %v", err)
		}
		if got := names(t, one); len(got) != 0 {
			t.Errorf("got the objects %q, want none", got)
		}
	})
}

// TestStaleWriter: who was silent for a lease is refused when he comes back, whatever he does, and nothing of the other's is lost.
func TestStaleWriter(t *testing.T) {
	everywhere(t, func(t *testing.T, again func() Objects) {
		ctx := t.Context()
		one, two := newStore(t, again(), longLease), newStore(t, late{again(), 2 * longLease}, longLease)
		id := made(t, one, "first").ID
		stale, reader := write(t, one, id), write(t, one, made(t, one, "other").ID)
		silence(t, stale)
		silence(t, reader)
		l := write(t, two, id)
		if _, err := save(t, stale, "stale"); !errors.Is(err, ErrLost) {
			t.Errorf("while the other writes: got %v", err)
		}
		saved(t, l, "second")
		if got := stateText(t, one, id); got != "second" {
			t.Errorf("got %q", got)
		}
		stale = write(t, one, id)
		silence(t, stale)
		saved(t, write(t, two, id), "third")
		if _, err := save(t, stale, "stale"); !errors.Is(err, ErrLost) {
			t.Errorf("when the other has written: got %v", err)
		}
		stale = write(t, one, id)
		silence(t, stale)
		if err := two.Delete(ctx, id); err != nil {
			t.Fatal(err)
		}
		if _, err := save(t, stale, "stale"); !errors.Is(err, ErrLost) {
			t.Errorf("when it has gone: got %v", err)
		}
		if err := two.Delete(ctx, reader.About().ID); err != nil {
			t.Fatal(err)
		}
		reader.Release(ctx) // brings nothing back
		if got := names(t, one); len(got) != 0 {
			t.Errorf("got the objects %q, want none", got)
		}
	})
}

// TestLeaseIsRenewed: who takes longer than a lease keeps it as long as he lives.
func TestLeaseIsRenewed(t *testing.T) {
	r := &RAM{}
	const lease = 200 * time.Millisecond
	s := newStore(t, r, lease)
	id := made(t, s, "first").ID
	l := write(t, s, id)
	_, info, err := s.read(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for renewed := 0; renewed < 8; {
		_, next, err := s.read(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if next.Version != info.Version {
			renewed, info = renewed+1, next
		}
		time.Sleep(time.Millisecond)
	}
	saved(t, l, "second")
	if got := stateText(t, s, id); got != "second" {
		t.Errorf("got %q", got)
	}
}

// TestLostAnswers: whichever call fails, before it takes place or behind it, once or from then on, a save that was told to have taken
// place has, and a memory is what it was or what was saved; and when nothing fails any more Collect leaves what belongs to it.
func TestLostAnswers(t *testing.T) {
	broken := errors.New("broken")
	lost, kept := 0, 0
	for _, mode := range []string{"before", "after", "before, and all later ones", "after, and all later ones"} {
		for at := 0; ; at++ {
			r := &RAM{}
			s := newStore(t, r, longLease)
			id := made(t, s, "first").ID
			n, failed := 0, false
			r.SetFault(func(string, string) (bool, error) {
				n++
				if n == at+1 || n > at+1 && strings.HasSuffix(mode, "ones") {
					failed = true
					return strings.HasPrefix(mode, "after"), broken
				}
				return false, nil
			})
			l, err := s.Write(t.Context(), id)
			if err == nil {
				_, err = save(t, l, "second")
			}
			r.SetFault(nil)
			got := stateText(t, s, id)
			if err == nil && got != "second" || got != "first" && got != "second" {
				t.Errorf("%s, call %d: got %q and %v", mode, at, got, err)
			}
			if err != nil {
				lost++
			} else if failed {
				kept++
			}
			s.objects = late{r, 2 * longLease}
			if err := s.Collect(t.Context(), longLease); err != nil {
				t.Error(err)
			}
			if all := names(t, s); len(all) != 2 || stateText(t, s, id) != got {
				t.Errorf("%s, call %d: got the objects %q", mode, at, all)
			}
			saved(t, write(t, s, id), "third")
			if got := stateText(t, s, id); got != "third" {
				t.Errorf("%s, call %d: got %q of the next writer", mode, at, got)
			}
			if !failed {
				break
			}
		}
	}
	if lost < 8 || kept < 3 {
		t.Errorf("got %d calls that failed and %d that took place all the same", lost, kept)
	}
}

// TestCollect: what killed writers leave goes when it is old, and with it their chance to come back.
func TestCollect(t *testing.T) {
	everywhere(t, func(t *testing.T, again func() Objects) {
		ctx := t.Context()
		s := newStore(t, again(), longLease)
		id := made(t, s, "first").ID
		stopped := write(t, s, id) // behind the writing of its state, before that of the head
		silence(t, stopped)
		file := NewFile(id)
		unmade, err := s.Create(ctx, About{ID: NewID()})
		if err != nil {
			t.Fatal(err)
		}
		silence(t, unmade)
		for _, name := range []string{file, NewFile(NewID()), probePrefix + "x", "notes.txt"} {
			if _, err := s.objects.Put(ctx, s.prefix+name, strings.NewReader("x"), Absent); err != nil {
				t.Fatal(err)
			}
		}
		before := len(names(t, s))
		if err := s.Collect(ctx, longLease); err != nil || len(names(t, s)) != before {
			t.Errorf("what is new: got %v and %q", err, names(t, s))
		}
		s.objects = late{s.objects, 2 * longLease}
		if err := s.Collect(ctx, longLease); err != nil {
			t.Error(err)
		}
		if got := names(t, s); len(got) != 3 || got[2] != "model/notes.txt" {
			t.Errorf("got %q, want a memory, and what is no server's", got)
		}
		next := stopped.About()
		next.File = file
		if err := stopped.change(ctx, func(h *head) { h.About, h.Writer = next, nil }); !errors.Is(err, ErrLost) {
			t.Errorf("the writer comes back: got %v", err)
		}
		if got := stateText(t, s, id); got != "first" {
			t.Errorf("got %q", got)
		}
	})
}

// TestEvict: the longest unused go, and none that somebody writes.
func TestEvict(t *testing.T) {
	everywhere(t, func(t *testing.T, again func() Objects) {
		ctx := t.Context()
		s := newStore(t, again(), longLease)
		var ids []string
		for i := range 5 {
			id := made(t, s, strings.Repeat("x", 100)).ID
			s.Used(ctx, id, time.Unix(int64(100-i), 0))
			ids = append(ids, id)
		}
		l := write(t, s, ids[4])
		quiet := func(err error) { t.Error(err) }
		if ok, err := s.Evict(ctx, 300, quiet); !ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
		total, err := s.Total(ctx)
		if err != nil || total != (Total{3, 300}) {
			t.Errorf("got %+v, %v", total, err)
		}
		for i, id := range ids {
			if _, err := s.About(ctx, id); (err == nil) != (i != 2 && i != 3) {
				t.Errorf("memory %d: got %v", i, err)
			}
		}
		if ok, err := s.Evict(ctx, 50, quiet); ok || err != nil {
			t.Errorf("one that is being written has gone: got %v, %v", ok, err)
		}
		saved(t, l, "x")
		if all, err := s.List(ctx, quiet); err != nil || len(all) != 1 || all[0].ID != ids[4] {
			t.Errorf("got %v, %v", all, err)
		}
	})
}
