package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"bitgpu"
	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
)

// read gives a session that goes on from a memory and is the caller's own.
func (s *store) read(owner, id string) (*bitgpu.Session, error) {
	s.mu.Lock()
	m, err := s.of(owner, id)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.fork(m)
}

// fork copies what a memory is now.
func (s *store) fork(m *entry) (*bitgpu.Session, error) {
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

// restored is a new session that goes on from a snapshot.
func restored(model *bitgpu.Model, p *bitgpu.Snapshot) (*bitgpu.Session, error) {
	session, err := model.NewSession()
	if err != nil {
		return nil, err
	}
	if err := session.Restore(p); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// load reads a memory's file, and refuses one that is not what was written.
func (s *store) load(m *entry) (*bitgpu.Session, error) {
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

func (s *store) loadFile(path string) (*bitgpu.Session, error) {
	session, err := s.model.NewSession()
	if err != nil {
		return nil, err
	}
	if err := session.LoadMemory(path); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

func sumOf(path string) (sum string, size int64, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// shrink gives the RAM of the least recently used memories back where there are too many in it. keep's lock is held.
func (s *store) shrink(keep *entry) {
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

// writing is the next state of a memory on its way: commit puts it in the place of the old one, abandon forgets it.
type writing struct {
	store   *store
	memory  *entry
	session *bitgpu.Session
}

// write begins the next state of a memory with a copy of the present one. Nobody else can until it has ended.
func (s *store) write(owner, id string) (*writing, error) {
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
	return &writing{s, m, session}, nil
}

// create begins a memory that becomes its owner's with commit. The session is the store's from now on, also where there is
// an error.
func (s *store) create(owner, name string, session *bitgpu.Session) (about, error) {
	now := time.Now()
	m := &entry{about: about{ID: newID(), Owner: owner, Name: name, Created: now.Unix()}, used: now, written: true}
	w := &writing{s, m, session}
	if err := w.commit(); err != nil {
		return about{}, err
	}
	return s.get(owner, m.ID)
}

func (s *store) release(m *entry) {
	s.mu.Lock()
	m.written = false
	s.mu.Unlock()
}

// replace puts another session in the place of the copy.
func (w *writing) replace(session *bitgpu.Session) {
	w.session.Close()
	w.session = session
}

func (w *writing) abandon() {
	w.session.Close()
	w.store.release(w.memory)
}

func (w *writing) commit() error {
	s, m := w.store, w.memory
	most := s.size(w.session.Position())
	if err := s.room(most); err != nil {
		w.abandon()
		return err
	}
	state, err := w.session.Snapshot()
	var next about
	if err == nil {
		next, err = s.save(m, state)
	}
	if err != nil {
		s.mu.Lock()
		s.bytes -= most
		s.mu.Unlock()
		w.abandon()
		return err
	}
	m.mu.Lock() // nobody is reading the old file
	s.mu.Lock()
	old := m.about
	m.about, m.used, m.written = next, time.Now(), false
	s.items[m.ID] = m
	s.bytes += next.Bytes - old.Bytes - most
	s.mu.Unlock()
	if old.File != "" {
		os.Remove(s.path(old.File)) // what stays is found at the next start
	}
	m.state = state
	s.shrink(m)
	m.mu.Unlock()
	return w.session.Close()
}

// save writes the files of a memory's next state. The old state's stay.
func (s *store) save(m *entry, state *bitgpu.Snapshot) (about, error) {
	s.mu.Lock()
	next := m.about
	s.mu.Unlock()
	next.File = next.ID + "-" + newID()[4:] + ".memory"
	next.Tokens, next.Used = state.Tokens(), time.Now().Unix()
	path := s.path(next.File)
	if err := state.WriteFile(path); err != nil {
		return next, err
	}
	var err error
	if next.Sum, next.Bytes, err = sumOf(path); err == nil && next.Bytes > s.size(next.Tokens) {
		err = &apiError{status: http.StatusInternalServerError, code: "internal", message: "a memory is larger than it can be"}
	}
	if err == nil {
		err = atomicfile.Write(s.path(next.ID+aboutSuffix), func(w io.Writer) error { return json.NewEncoder(w).Encode(next) })
	}
	if err != nil {
		os.Remove(path)
	}
	return next, err
}
