package serve

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"bitgpu"
	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"

	"github.com/gofrs/flock"
)

// store keeps memories: each a file of what was learned, named by a file that says whose it is. The second is written after
// the first, as a whole, so that whoever is killed leaves the old memory or the new one. The most recent are in RAM as well.
type store struct {
	model     *bitgpu.Model
	dir       string
	temporary string // to be removed in the end, or ""
	lock      *flock.Flock
	limit     int64 // bytes of files
	base      int64 // bytes of the file of one memory, at most,
	each      int64 // and of each token that it has read, where a model keeps them
	resident  int64 // bytes of memories in RAM

	mu    sync.Mutex
	items map[string]*entry
	bytes int64 // of all files, and of those that are about to be written
}

// about is what the smaller file says.
type about struct {
	ID      string `json:"id"`
	Owner   string `json:"owner"`
	Name    string `json:"name,omitempty"`
	Created int64  `json:"created_at"` // Unix time
	Used    int64  `json:"used_at"`
	Tokens  int64  `json:"tokens"`
	Bytes   int64  `json:"bytes"`
	File    string `json:"file"`
	Sum     string `json:"sha256"`
}

// entry is one of the store's.
type entry struct {
	about // guarded by store.mu

	used    time.Time // guarded by store.mu
	written bool      // likewise: somebody writes
	gone    bool      // likewise: deleted or evicted

	mu    sync.Mutex       // guards what follows; is taken before store.mu
	state *bitgpu.Snapshot // nil where only the file has it
}

const aboutSuffix = ".json"

var memoryID = regexp.MustCompile(`^mem_[A-Z2-7]{26}$`)

// openStore finds the memories of a model in a directory.
func openStore(model *bitgpu.Model, o Options) (*store, error) {
	s := &store{model: model, limit: o.MemoryLimit, items: map[string]*entry{}}
	dir := o.MemoryDir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "bitgpu-memories-"); err != nil {
			return nil, err
		}
		s.temporary = dir
	}
	s.dir = filepath.Join(dir, model.ID()) // another model's memories mean nothing to this one
	if err := s.begin(o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *store) begin(o Options) error {
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
	if least := s.size(1); s.limit < 2*least {
		return fmt.Errorf("%w: memory limit: got %d bytes, want %d or more: one memory has %d, and its next state is written before the old one goes",
			ErrOption, s.limit, 2*least, least)
	}
	s.resident = o.ResidentLimit
	if err := s.find(); err != nil {
		return err
	}
	return s.room(0) // the limit may be lower than it was
}

// measure finds how many bytes a memory has at most. Of a model that learns the length of its text does not count, but for a
// few digits; one with attention keeps its tokens.
func (s *store) measure() error {
	few := 64 // as many as the file has of the last tokens
	if room := s.model.Context(); room > 0 {
		few = max(min(few, room/2), 1)
	}
	session, err := s.model.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	path := filepath.Join(s.dir, ".measure")
	defer os.Remove(path)
	var sizes [2]int64
	for i := range sizes {
		if _, err := session.Forward(make([]uint32, few)); err != nil {
			return err
		}
		if err := session.SaveMemory(path); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		sizes[i] = info.Size()
	}
	const slack = 4096 // longer numbers, another alignment
	if grown := sizes[1] - sizes[0]; s.model.Context() > 0 {
		s.each = (grown + int64(few) - 1) / int64(few)
	}
	s.base = sizes[0] + slack
	return nil
}

// size is how many bytes the file of a memory has at most that has read so many tokens.
func (s *store) size(tokens int64) int64 { return s.base + s.each*tokens }

// largest is the size of the largest memory.
func (s *store) largest() int64 { return s.size(int64(s.model.Context())) }

// find reads what the directory has, and removes what is no part of a memory.
func (s *store) find() error {
	atomicfile.ClearStale(s.dir)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), aboutSuffix)
		if !ok || !memoryID.MatchString(id) {
			continue
		}
		data, err := regular.ReadFile(filepath.Join(s.dir, e.Name()))
		if err != nil {
			return err
		}
		m := &entry{}
		if err := json.Unmarshal(data, &m.about); err != nil || m.ID != id || filepath.Base(m.File) != m.File {
			return fmt.Errorf("%s: is not what a server has written; move it away", filepath.Join(s.dir, e.Name()))
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
		if name := e.Name(); strings.HasPrefix(name, "mem_") && strings.HasSuffix(name, ".memory") && !known[name] {
			if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// close gives everything back; nobody may be at work any more.
func (s *store) close() error {
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

// forget gives the RAM of a memory back.
func (m *entry) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = nil
}

func errNoMemory(id string) *apiError {
	e := notFound("memory_not_found", "memory: there is no %.100q", id)
	e.param = "memory"
	return e
}

// of finds an owner's memory. s.mu is held.
func (s *store) of(owner, id string) (*entry, error) {
	m := s.items[id]
	if m == nil || m.Owner != owner {
		return nil, errNoMemory(id)
	}
	m.used = time.Now()
	return m, nil
}

// get is what a memory is at this moment.
func (s *store) get(owner, id string) (about, error) {
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

// list are an owner's memories, the newest first.
func (s *store) list(owner string) []about {
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
	slices.SortFunc(found, func(a, b about) int {
		return cmp.Or(cmp.Compare(b.Created, a.Created), strings.Compare(a.ID, b.ID))
	})
	return found
}

// totals are the memories and the bytes of their files.
func (s *store) totals() (memories int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items), s.bytes
}

// room reserves bytes, for which the memories go that have not been used for the longest time.
func (s *store) room(bytes int64) error {
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
			return unavailable("memory_limit", "the memories in use take all the room there is for them")
		}
		err := s.remove(oldest)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		oldest.forget()
	}
}

// remove takes a memory and its files away. s.mu is held.
func (s *store) remove(m *entry) error {
	m.gone = true
	delete(s.items, m.ID)
	if m.File == "" {
		return nil
	}
	s.bytes -= m.Bytes
	if err := os.Remove(s.path(m.ID + aboutSuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Remove(s.path(m.File))
}

func (s *store) path(name string) string { return filepath.Join(s.dir, name) }

// delete ends a memory.
func (s *store) delete(owner, id string) error {
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

func errWritten() *apiError {
	return &apiError{status: 409, code: "memory_in_use", param: "memory", retry: 1,
		message: "memory: another request is writing it; wait, or name it with \"learn\": false"}
}

// newID is the name of a new memory.
func newID() string { return "mem_" + rand.Text()[:26] }

// file opens the file of a memory.
func (s *store) file(owner, id string) (io.ReadSeekCloser, about, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.of(owner, id)
	if err != nil {
		return nil, about{}, err
	}
	f, err := os.Open(s.path(m.File)) // what has been opened stays readable when the next state takes its place
	return f, m.about, err
}
