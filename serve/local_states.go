package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"bitgpu"
	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
	"bitgpu/serve/store"
)

func (s *localMemories) read(owner, id string) (*bitgpu.Session, error) {
	s.mu.Lock()
	m, err := s.of(owner, id)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.fork(m)
}

// fork returns a new session with the current state of a memory.
func (s *localMemories) fork(m *entry) (*bitgpu.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != nil {
		return restored(s.model, m.state)
	}
	session, err := s.load(m)
	if err != nil {
		return nil, err
	}
	if m.state, err = session.Snapshot(); err != nil {
		session.Close()
		return nil, err
	}
	s.shrink(m)
	return session, nil
}

// load reads a memory's file, and refuses one that has changed since it was written.
func (s *localMemories) load(m *entry) (*bitgpu.Session, error) {
	s.mu.Lock()
	a, gone := m.about, m.gone
	s.mu.Unlock()
	if gone {
		return nil, errNoMemory(a.ID)
	}
	path := s.path(a.File)
	if sum, _, err := sumOf(path); err != nil {
		return nil, err
	} else if sum != a.Sum {
		return nil, fmt.Errorf("%s: got the checksum %s, want %s", path, sum, a.Sum)
	}
	return s.loadFile(path)
}

// shrink frees the RAM of the least recently used memories if there are too many. keep's lock is held.
func (s *localMemories) shrink(keep *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var oldest *entry
		total := keep.state.Bytes()
		for _, m := range s.items {
			if m == keep || !m.mu.TryLock() { // in use
				continue
			}
			if m.state != nil {
				if total += m.state.Bytes(); oldest == nil || m.used.Before(oldest.used) {
					oldest = m
				}
			}
			m.mu.Unlock()
		}
		if total <= s.resident || oldest == nil || !oldest.mu.TryLock() {
			return
		}
		oldest.state = nil
		oldest.mu.Unlock()
	}
}

func (s *localMemories) write(owner, id string) (*writing, error) {
	s.mu.Lock()
	m, err := s.of(owner, id)
	if err == nil && m.written {
		err = errWritten()
	}
	if err == nil {
		m.written = true
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	session, err := s.fork(m)
	if err != nil {
		s.release(m)
		return nil, err
	}
	return s.writing(m, session), nil
}

// create begins a memory that becomes visible to its owner with commit. The session belongs to the store from then on, even
// after an error.
func (s *localMemories) create(owner, name string, session *bitgpu.Session) (about, error) {
	now := time.Now()
	m := &entry{about: about{ID: store.NewID(), Owner: owner, Name: name, Created: now.Unix()}, used: now, written: true}
	if err := s.writing(m, session).commit(); err != nil {
		return about{}, err
	}
	return s.get(owner, m.ID)
}

func (s *localMemories) release(m *entry) {
	s.mu.Lock()
	m.written = false
	s.mu.Unlock()
}

func (s *localMemories) writing(m *entry, session *bitgpu.Session) *writing {
	return &writing{session, func(session *bitgpu.Session) error { return s.commit(m, session) }, func() { s.release(m) }}
}

// commit replaces the state of a memory with the next one.
func (s *localMemories) commit(m *entry, session *bitgpu.Session) error {
	most := s.size(session.Position())
	if err := s.room(most); err != nil {
		return err
	}
	state, err := session.Snapshot()
	var next about
	if err == nil {
		next, err = s.save(m, state)
	}
	if err != nil {
		s.mu.Lock()
		s.bytes -= most
		s.mu.Unlock()
		return err
	}
	m.mu.Lock() // waits for those who read the old file
	defer m.mu.Unlock()
	s.mu.Lock()
	old := m.about
	m.about, m.used, m.written = next, time.Now(), false
	s.items[m.ID] = m
	s.bytes += next.Bytes - old.Bytes - most
	s.mu.Unlock()
	if old.File != "" {
		os.Remove(s.path(old.File)) // if this fails, the file is found at the next start
	}
	m.state = state
	s.shrink(m)
	return nil
}

// save writes the files of a memory's next state. Those of the old state stay.
func (s *localMemories) save(m *entry, state *bitgpu.Snapshot) (about, error) {
	s.mu.Lock()
	next := m.about
	s.mu.Unlock()
	next.File = store.NewFile(next.ID)
	next.Tokens, next.Used = state.Tokens(), time.Now().Unix()
	path := s.path(next.File)
	if err := state.WriteFile(path); err != nil {
		return next, err
	}
	var err error
	if next.Sum, next.Bytes, err = sumOf(path); err == nil {
		err = s.checkSize(next)
	}
	if err == nil {
		err = atomicfile.Write(s.path(next.ID+store.HeadSuffix), func(w io.Writer) error { return json.NewEncoder(w).Encode(next) })
	}
	if err != nil && !s.names(next) {
		os.Remove(path)
	}
	return next, err
}

// names reports whether the file that names a memory's state names this one: a write whose sync failed may have replaced it.
func (s *localMemories) names(a about) bool {
	data, err := regular.ReadFile(s.path(a.ID + store.HeadSuffix))
	if err != nil {
		return false
	}
	now, err := store.ParseAbout(a.ID, data)
	return err == nil && now.File == a.File
}
