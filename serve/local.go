package serve

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"bitgpu"
	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
	"bitgpu/serve/store"

	"github.com/gofrs/flock"
)

// localMemories are the memories of a single server. Each is a file of what was learned, and a file that names the first and
// says whose it is. The second is written, as a whole, after the first, so that a server that is killed leaves the old memory
// or the new one. The most recently used are also in RAM.
type localMemories struct {
	*measures
	temporary string // to be removed in the end, or ""
	lock      *flock.Flock
	limit     int64 // bytes of files
	resident  int64 // bytes of memories in RAM

	mu    sync.Mutex
	items map[string]*entry
	bytes int64 // of all files, including those about to be written
}

// entry is a memory.
type entry struct {
	about // guarded by localMemories.mu

	used    time.Time // guarded by localMemories.mu
	written bool      // a request is writing; guarded by localMemories.mu
	gone    bool      // deleted or evicted; guarded by localMemories.mu

	mu    sync.Mutex       // guards the following fields; locked before localMemories.mu
	state *bitgpu.Snapshot // nil if only the file has it
}

// openLocal finds the memories of a model in a directory.
func openLocal(model *bitgpu.Model, o Options) (*localMemories, error) {
	s := &localMemories{measures: &measures{model: model}, limit: o.MemoryLimit, items: map[string]*entry{}}
	dir := o.MemoryDir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "bitgpu-memories-"); err != nil {
			return nil, err
		}
		s.temporary = dir
	}
	s.dir = filepath.Join(dir, model.ID()) // a memory only fits the model that learned it
	if err := s.begin(o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *localMemories) begin(o Options) error {
	if store.IsShared(filepath.Dir(s.dir)) {
		return fmt.Errorf("%s: is a store that servers share, want another directory", filepath.Dir(s.dir))
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("%s: the directory for memories cannot be made: %w", filepath.Dir(s.dir), errors.Unwrap(err))
	}
	s.lock = flock.New(filepath.Join(s.dir, ".lock"))
	if got, err := s.lock.TryLock(); err != nil {
		return err
	} else if !got {
		return fmt.Errorf("%s: another server keeps its memories there", s.dir)
	}
	if err := s.measure(); err != nil {
		return err
	}
	if err := s.checkLimit(s.limit); err != nil {
		return err
	}
	s.resident = o.ResidentLimit
	if err := s.find(); err != nil {
		return err
	}
	return s.room(0) // the limit may have been lowered
}

// find reads the directory, and removes files that do not belong to a memory.
func (s *localMemories) find() error {
	atomicfile.ClearStale(s.dir)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), store.HeadSuffix)
		if !ok || !store.IsID(id) {
			continue
		}
		data, err := regular.ReadFile(filepath.Join(s.dir, e.Name()))
		if err != nil {
			return err
		}
		m := &entry{}
		if m.about, err = store.ParseAbout(id, data); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(s.dir, e.Name()), err)
		}
		if m.File == "" { // from a shared store: it was never completed
			os.Remove(filepath.Join(s.dir, e.Name()))
			continue
		}
		info, err := os.Stat(filepath.Join(s.dir, m.File))
		if err != nil || info.Size() != m.Bytes {
			return fmt.Errorf("%s: got %s of another size, want %d bytes; move both away", filepath.Join(s.dir, e.Name()), m.File, m.Bytes)
		}
		m.used = time.Unix(m.Used, 0)
		s.items[id] = m
		s.bytes += m.Bytes
		known[m.File] = true
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, "mem_") && strings.HasSuffix(name, store.StateSuffix) && !known[name] {
			if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *localMemories) close() error {
	for _, m := range s.items {
		m.forget()
	}
	if s.lock != nil {
		s.lock.Unlock()
	}
	if s.temporary != "" {
		return atomicfile.RemoveAll(s.temporary)
	}
	return nil
}

// forget frees the RAM of a memory; its files stay.
func (m *entry) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = nil
}

// of returns an owner's memory. The caller holds s.mu.
func (s *localMemories) of(owner, id string) (*entry, error) {
	m := s.items[id]
	if m == nil || m.Owner != owner {
		return nil, errNoMemory(id)
	}
	m.used = time.Now()
	return m, nil
}

func (s *localMemories) get(owner, id string) (about, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.of(owner, id)
	if err != nil {
		return about{}, err
	}
	a := m.about
	a.Used = m.used.Unix()
	return a, nil
}

func (s *localMemories) list(owner string) ([]about, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []about{}
	for _, m := range s.items {
		if m.Owner == owner {
			a := m.about
			a.Used = m.used.Unix()
			found = append(found, a)
		}
	}
	newestFirst(found)
	return found, nil
}

func (s *localMemories) totals() (memories int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items), s.bytes
}

// room reserves bytes, deleting the least recently used memories as needed.
func (s *localMemories) room(bytes int64) error {
	for {
		s.mu.Lock()
		var oldest *entry
		for _, m := range s.items {
			if !m.written && (oldest == nil || m.used.Before(oldest.used) || m.used.Equal(oldest.used) && m.ID < oldest.ID) {
				oldest = m
			}
		}
		if s.bytes+bytes <= s.limit {
			s.bytes += bytes
			s.mu.Unlock()
			return nil
		}
		if oldest == nil {
			s.mu.Unlock()
			return errNoRoom()
		}
		err := s.remove(oldest)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		oldest.forget()
	}
}

// remove deletes a memory and its files. The caller holds s.mu.
func (s *localMemories) remove(m *entry) error {
	m.gone = true
	delete(s.items, m.ID)
	if m.File == "" {
		return nil
	}
	s.bytes -= m.Bytes
	if err := os.Remove(s.path(m.ID + store.HeadSuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Remove(s.path(m.File))
}

func (s *localMemories) path(name string) string { return filepath.Join(s.dir, name) }

func (s *localMemories) delete(owner, id string) error {
	s.mu.Lock()
	m, err := s.of(owner, id)
	if err == nil && m.written {
		err = errWritten()
	}
	if err == nil {
		err = s.remove(m)
	}
	s.mu.Unlock()
	if err == nil {
		m.forget()
	}
	return err
}

func (s *localMemories) file(owner, id string) (io.ReadCloser, about, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.of(owner, id)
	if err != nil {
		return nil, about{}, err
	}
	f, err := os.Open(s.path(m.File)) // an open file stays readable when the next state replaces it
	return f, m.about, err
}
