package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"bitgpu"
	"bitgpu/io/atomicfile"
	"bitgpu/serve/store"

	"github.com/gofrs/flock"
)

// sharedMemories are those of a store that several servers share. The description of a memory is read from it for every
// request, the state only if it differs from the one in RAM.
type sharedMemories struct {
	*measures
	records *store.Store
	log     *slog.Logger
	recent  *snapshots[string] // by the names of their files
	limit   int64              // bytes of all states

	held   *flock.Flock // marks the directory of temporary files as in use
	ending context.CancelFunc
	ended  sync.WaitGroup

	making sync.Mutex // only one request at a time makes room

	mu       sync.Mutex
	total    store.Total // as last counted, plus what this server has written since
	counted  time.Time
	reserved int64 // bytes that this server is about to write
	grown    int64 // bytes that it has written in total
}

const (
	storePatience = time.Minute      // for an answer of the store
	statePatience = 10 * time.Minute // the same while a state is transferred
	countEvery    = 10 * time.Second // other servers write too
	collectEvery  = time.Hour
	collectOld    = time.Hour
	usedEvery     = time.Hour // how precisely the store knows when a memory was last read
	mostReplaced  = 16        // how often a memory may be replaced while a request begins to read it
)

// openShared begins to use a store. It closes the store if there is an error.
func openShared(model *bitgpu.Model, o Options) (*sharedMemories, error) {
	s := &sharedMemories{measures: &measures{model: model}, log: o.Log, limit: o.MemoryLimit, recent: newSnapshots[string](o.ResidentLimit)}
	if err := s.begin(o); err != nil {
		if s.records == nil {
			o.MemoryStore.Close()
		}
		s.close()
		return nil, err
	}
	background, ending := context.WithCancel(context.Background())
	s.ending = ending
	s.ended.Go(func() { s.tend(background) })
	return s, nil
}

func (s *sharedMemories) begin(o Options) (err error) {
	if s.dir, s.held, err = scratch(); err != nil {
		return err
	}
	if err := s.measure(); err != nil {
		return err
	}
	if err := s.checkLimit(s.limit); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	if s.records, err = store.New(ctx, o.MemoryStore, s.model.ID(), o.MemoryLease); err != nil {
		return err
	}
	return s.recount(ctx, 0)
}

func (s *sharedMemories) close() (err error) {
	if s.ending != nil {
		s.ending()
		s.ended.Wait()
	}
	if s.records != nil {
		err = s.records.Close()
	}
	if s.held != nil {
		err = errors.Join(err, s.held.Close(), atomicfile.RemoveAll(s.dir))
	}
	return err
}

// tend regularly removes what killed servers have left behind.
func (s *sharedMemories) tend(ctx context.Context) {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		if err := s.records.Collect(ctx, collectOld); err != nil && ctx.Err() == nil {
			s.log.Warn("what killed servers have left in the memory store stays there for now", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// told converts an error of the store to the form for clients.
func (s *sharedMemories) told(id string, err error) error {
	var known *apiError
	switch {
	case err == nil || errors.As(err, &known) || errors.Is(err, store.ErrBroken):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return errNoMemory(id)
	case errors.Is(err, store.ErrHeld):
		return errWritten()
	case errors.Is(err, store.ErrLost):
		return &apiError{status: 409, code: "memory_lost", param: "memory", retry: 1,
			message: "memory: another server has taken it over, because this one was silent for too long; it has nothing of this request"}
	}
	s.log.Error("memory store", "memory", id, "error", err.Error())
	return unavailable("memory_store", "the memory store does not answer; the server's log says why")
}

// broken logs an object of the store that no server can have written.
func (s *sharedMemories) broken(err error) { s.log.Error("memory store", "error", err.Error()) }

// within returns a context for what must finish whether or not the client waits.
func within(patience time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func (s *sharedMemories) get(owner, id string) (about, error) {
	ctx, cancel := within(storePatience)
	defer cancel()
	return s.of(ctx, owner, id)
}

// of finds an owner's memory.
func (s *sharedMemories) of(ctx context.Context, owner, id string) (about, error) {
	a, err := s.records.About(ctx, id)
	if err == nil && a.Owner != owner {
		err = fs.ErrNotExist
	}
	return a, s.told(id, err)
}

func (s *sharedMemories) list(owner string) ([]about, error) {
	ctx, cancel := within(storePatience)
	defer cancel()
	all, err := s.records.List(ctx, s.broken)
	found := []about{}
	for _, a := range all {
		if a.Owner == owner {
			found = append(found, a)
		}
	}
	newestFirst(found)
	return found, s.told("", err)
}

// state does something with a memory's state. If the state is replaced meanwhile, it starts again with the new one.
func (s *sharedMemories) state(ctx context.Context, owner, id string, do func(a about) error) error {
	for range mostReplaced {
		a, err := s.of(ctx, owner, id)
		if err != nil {
			return err
		}
		if err := do(a); !errors.Is(err, fs.ErrNotExist) {
			return s.told(id, err)
		}
	}
	return fmt.Errorf("%s: its state is not where its head says, or is replaced all the time", id)
}

func (s *sharedMemories) read(owner, id string) (session *bitgpu.Session, err error) {
	ctx, cancel := within(statePatience)
	defer cancel()
	err = s.state(ctx, owner, id, func(a about) (err error) {
		if session, err = s.fork(ctx, a); err == nil && time.Since(time.Unix(a.Used, 0)) > usedEvery {
			s.records.Used(ctx, id, time.Now())
		}
		return err
	})
	return session, err
}

// fork copies the state of a memory.
func (s *sharedMemories) fork(ctx context.Context, a about) (*bitgpu.Session, error) {
	if state := s.recent.get(a.File); state != nil {
		return restored(s.model, state)
	}
	session, err := s.load(ctx, a)
	if err != nil {
		return nil, err
	}
	state, err := session.Snapshot()
	if err != nil {
		session.Close()
		return nil, err
	}
	s.recent.add(a.File, state)
	return session, nil
}

// load reads a state from the store, and refuses one that has changed since it was written.
func (s *sharedMemories) load(ctx context.Context, a about) (*bitgpu.Session, error) {
	if err := s.checkSize(a); err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrBroken, err)
	}
	body, err := s.records.Open(ctx, a)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	path := filepath.Join(s.dir, a.File+"-"+store.NewID())
	defer os.Remove(path)
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(body, a.Bytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); n != a.Bytes || sum != a.Sum {
		return nil, fmt.Errorf("%w: %s: got %d bytes with the checksum %s, want %d with %s", store.ErrBroken, a.File, n, sum, a.Bytes, a.Sum)
	}
	session, err := s.loadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", store.ErrBroken, a.File, err)
	}
	return session, nil
}

func (s *sharedMemories) file(owner, id string) (f io.ReadCloser, a about, err error) {
	ctx, cancel := context.WithCancel(context.Background()) // for as long as the client takes
	err = s.state(ctx, owner, id, func(now about) (err error) {
		a = now
		f, err = s.records.Open(ctx, now)
		return err
	})
	if err != nil {
		cancel()
		return nil, a, err
	}
	return &closing{f, cancel}, a, nil
}

// closing ends a context together with what is read in it.
type closing struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *closing) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

func (s *sharedMemories) write(owner, id string) (*writing, error) {
	ctx, cancel := within(statePatience)
	defer cancel()
	if _, err := s.of(ctx, owner, id); err != nil { // do not lock another key's even for a moment
		return nil, err
	}
	lease, err := s.records.Write(ctx, id)
	if err != nil {
		return nil, s.told(id, err)
	}
	session, err := s.fork(ctx, lease.About()) // nobody can replace it now
	if err != nil {
		lease.Release(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %s is not there", store.ErrBroken, lease.About().File)
		}
		return nil, s.told(id, err)
	}
	w := s.writing(lease, session)
	return w, nil
}

func (s *sharedMemories) writing(lease *store.Lease, session *bitgpu.Session) *writing {
	release := func() {
		ctx, cancel := within(storePatience)
		defer cancel()
		lease.Release(ctx)
	}
	return &writing{session, func(session *bitgpu.Session) error { return s.save(lease, session) }, release}
}

func (s *sharedMemories) create(owner, name string, session *bitgpu.Session) (about, error) {
	ctx, cancel := within(storePatience)
	defer cancel()
	now := time.Now().Unix()
	lease, err := s.records.Create(ctx, about{ID: store.NewID(), Owner: owner, Name: name, Created: now, Used: now})
	if err != nil {
		session.Close()
		return about{}, s.told("", err)
	}
	if err := s.writing(lease, session).commit(); err != nil {
		return about{}, err
	}
	return lease.About(), nil
}

// save makes what a session has learned the next state of a memory. If it returns no error, the store has the state.
func (s *sharedMemories) save(lease *store.Lease, session *bitgpu.Session) error {
	ctx, cancel := within(statePatience)
	defer cancel()
	old := lease.About()
	most := s.size(session.Position())
	if err := s.room(ctx, most); err != nil {
		return s.told(old.ID, err)
	}
	written := int64(0)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reserved -= most
		s.total.Bytes += written
		s.grown += max(written, 0)
	}()
	state, err := session.Snapshot()
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, store.NewFile(old.ID))
	defer os.Remove(path)
	if err := state.WriteFile(path); err != nil {
		return err
	}
	next := old
	next.Tokens, next.Used = state.Tokens(), time.Now().Unix()
	if next.Sum, next.Bytes, err = sumOf(path); err != nil {
		return err
	}
	if err := s.checkSize(next); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	next, err = lease.Save(ctx, next, f)
	if err != nil {
		return s.told(old.ID, err)
	}
	s.recent.add(next.File, state)
	written = next.Bytes - old.Bytes
	return nil
}

func (s *sharedMemories) delete(owner, id string) error {
	ctx, cancel := within(storePatience)
	defer cancel()
	a, err := s.of(ctx, owner, id)
	if err != nil {
		return err
	}
	if err := s.records.Delete(ctx, id); err != nil {
		return s.told(id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.Bytes -= a.Bytes
	return nil
}
