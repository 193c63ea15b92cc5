package serve

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu"
	"bitgpu/io/regular"
	"bitgpu/serve/store"
)

// memories keep what clients name: in a directory of this server, or in a store that several servers share. One key's
// memories do not exist for another key.
type memories interface {
	// get returns a description of the current state of a memory.
	get(owner, id string) (about, error)
	// list returns an owner's memories, newest first.
	list(owner string) ([]about, error)
	// read returns a session of the caller's own that continues from a memory.
	read(owner, id string) (*bitgpu.Session, error)
	// write begins the next state of a memory with a copy of the current one. Nobody else can do so until that has ended.
	write(owner, id string) (*writing, error)
	// create stores a new memory. The session belongs to the store from then on, even after an error.
	create(owner, name string, session *bitgpu.Session) (about, error)
	// delete deletes a memory.
	delete(owner, id string) error
	// file opens the file of a memory.
	file(owner, id string) (io.ReadCloser, about, error)
	// totals returns the number of memories and the bytes of their files.
	totals() (memories int, bytes int64)
	measured() *measures
	// close releases everything. No request may be in progress.
	close() error
}

// about describes a memory, without its state.
type about = store.About

// openMemories finds the memories of a model.
func openMemories(model *bitgpu.Model, o Options) (memories, error) {
	if o.MemoryStore != nil {
		return openShared(model, o)
	}
	return openLocal(model, o)
}

// writing is the next state of a memory in progress: commit replaces the old state by it, abandon drops it.
type writing struct {
	session *bitgpu.Session
	save    func(*bitgpu.Session) error // ends it unless there is an error
	release func()
}

// replace replaces the copy with another session.
func (w *writing) replace(session *bitgpu.Session) {
	w.session.Close()
	w.session = session
}

func (w *writing) abandon() {
	w.session.Close()
	w.release()
}

func (w *writing) commit() error {
	if err := w.save(w.session); err != nil {
		w.abandon()
		return err
	}
	return w.session.Close()
}

// measures know the maximum size of a memory's file, and load one into a session.
type measures struct {
	model *bitgpu.Model
	dir   string // for temporary files
	base  int64  // largest size of one memory in bytes,
	each  int64  // plus this for each token that it has read, if the model keeps them
}

func (m *measures) measured() *measures { return m }

// measure finds out the maximum size of a memory. For a model that learns, the length of the text only matters by a few
// digits; one with attention keeps its tokens.
func (m *measures) measure() error {
	few := 64 // as many of the last tokens as the file has
	if room := m.model.Context(); room > 0 {
		few = max(min(few, room/2), 1)
	}
	session, err := m.model.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	path := filepath.Join(m.dir, ".measure")
	defer os.Remove(path)
	var sizes [2]int64
	for i := range sizes {
		if _, err := session.Forward(make([]uint32, few)); err != nil {
			return fmt.Errorf("reading %d tokens to try the model out: %w", len(sizes)*few, err)
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
	const slack = 4096 // for longer numbers and other alignment
	if grown := sizes[1] - sizes[0]; m.model.Context() > 0 {
		m.each = (grown + int64(few) - 1) / int64(few)
	}
	m.base = sizes[0] + slack
	return nil
}

// size returns the maximum size in bytes of the file of a memory that has read `tokens` tokens.
func (m *measures) size(tokens int64) int64 { return m.base + m.each*tokens }

// largest returns the size of the largest possible memory.
func (m *measures) largest() int64 { return m.size(int64(m.model.Context())) }

// checkLimit refuses a limit that has no room for a single memory.
func (m *measures) checkLimit(limit int64) error {
	if least := m.size(1); limit < 2*least {
		return fmt.Errorf("%w: memory limit: got %d bytes, want %d or more: one memory has %d, and its next state is written before the old one goes",
			ErrOption, limit, 2*least, least)
	}
	return nil
}

// checkSize refuses a file that is larger than it can be.
func (m *measures) checkSize(a about) error {
	if most := m.size(min(a.Tokens, int64(m.model.Context()))); a.Bytes > most {
		return fmt.Errorf("%s: got %d bytes of a memory that has read %d tokens, want at most %d", a.File, a.Bytes, a.Tokens, most)
	}
	return nil
}

func (m *measures) loadFile(path string) (*bitgpu.Session, error) {
	session, err := m.model.NewSession()
	if err != nil {
		return nil, err
	}
	if err := session.LoadMemory(path); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// restored returns a new session that continues from a snapshot.
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

// newestFirst sorts memories for lists.
func newestFirst(found []about) {
	slices.SortFunc(found, func(a, b about) int {
		return cmp.Or(cmp.Compare(b.Created, a.Created), strings.Compare(a.ID, b.ID))
	})
}

func errNoMemory(id string) *apiError {
	e := notFound("memory_not_found", "memory: there is no %.100q", id)
	e.param = "memory"
	return e
}

func errWritten() *apiError {
	return &apiError{status: 409, code: "memory_in_use", param: "memory", retry: 1,
		message: "memory: another request is writing it; wait, or name it with \"learn\": false"}
}

func errNoRoom() *apiError {
	return unavailable("memory_limit", "the memories in use take all the room there is for them")
}
