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

// memories keep what clients name: in a directory of the server's own, or in a store that several servers share. One key's
// memories do not exist for another key.
type memories interface {
	// get is what a memory is at this moment.
	get(owner, id string) (about, error)
	// list are an owner's memories, the newest first.
	list(owner string) ([]about, error)
	// read gives a session that goes on from a memory and is the caller's own.
	read(owner, id string) (*bitgpu.Session, error)
	// write begins the next state of a memory with a copy of the present one. Nobody else can until it has ended.
	write(owner, id string) (*writing, error)
	// create keeps a new memory. The session is the store's from now on, also where there is an error.
	create(owner, name string, session *bitgpu.Session) (about, error)
	// delete ends a memory.
	delete(owner, id string) error
	// file opens the file of a memory.
	file(owner, id string) (io.ReadCloser, about, error)
	// totals are the memories and the bytes of their files.
	totals() (memories int, bytes int64)
	measured() *measures
	// close gives everything back; nobody may be at work any more.
	close() error
}

// about is what is known of a memory beside its state.
type about = store.About

// openMemories finds the memories of a model.
func openMemories(model *bitgpu.Model, o Options) (memories, error) {
	if o.MemoryStore != nil {
		return openShared(model, o)
	}
	return openLocal(model, o)
}

// writing is the next state of a memory on its way: commit replaces the old one with it, abandon drops it.
type writing struct {
	session *bitgpu.Session
	save    func(*bitgpu.Session) error // ends it if there is no error
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

// measures say how many bytes the file of a memory of a model has at most, and give it back as a session.
type measures struct {
	model *bitgpu.Model
	dir   string // for files on their way
	base  int64  // bytes of one memory, at most,
	each  int64  // and of each token that it has read, where a model keeps them
}

func (m *measures) measured() *measures { return m }

// measure finds how many bytes a memory has at most. Of a model that learns the length of its text does not count, but for a
// few digits; one with attention keeps its tokens.
func (m *measures) measure() error {
	few := 64 // as many as the file has of the last tokens
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
	const slack = 4096 // longer numbers, another alignment
	if grown := sizes[1] - sizes[0]; m.model.Context() > 0 {
		m.each = (grown + int64(few) - 1) / int64(few)
	}
	m.base = sizes[0] + slack
	return nil
}

// size is how many bytes the file of a memory has at most that has read so many tokens.
func (m *measures) size(tokens int64) int64 { return m.base + m.each*tokens }

// largest is the size of the largest memory.
func (m *measures) largest() int64 { return m.size(int64(m.model.Context())) }

// checkLimit refuses a limit that has no room for one memory.
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

// newestFirst is the order of lists.
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
